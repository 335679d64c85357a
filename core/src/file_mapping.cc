#include "file_mapping.h"

#include <cstdint>

#if defined(_WIN32)
#define WIN32_LEAN_AND_MEAN
#define NOMINMAX
#include <windows.h>
#else
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#endif

namespace vivavoce {

#if defined(_WIN32)

FileMapping::~FileMapping() {
  if (data_ != nullptr) UnmapViewOfFile(data_);
}

bool FileMapping::Open(const char* path) {
  wchar_t wide[1024];
  if (MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, path, -1, wide, 1024) == 0) return false;
  const HANDLE file = CreateFileW(wide, GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL,
                                  nullptr);
  if (file == INVALID_HANDLE_VALUE) return false;
  LARGE_INTEGER size;
  if (GetFileSizeEx(file, &size) && size.QuadPart > 0 && static_cast<uint64_t>(size.QuadPart) <= SIZE_MAX) {
    const HANDLE mapping = CreateFileMappingW(file, nullptr, PAGE_READONLY, 0, 0, nullptr);
    if (mapping != nullptr) {
      data_ = MapViewOfFile(mapping, FILE_MAP_READ, 0, 0, 0);
      CloseHandle(mapping);  // the view holds on to it
    }
  }
  CloseHandle(file);
  if (data_ != nullptr) size_ = static_cast<size_t>(size.QuadPart);
  return data_ != nullptr;
}

#else

FileMapping::~FileMapping() {
  if (data_ != nullptr) munmap(data_, size_);
}

bool FileMapping::Open(const char* path) {
  // Without O_NONBLOCK, a named pipe without a writer would hold us here.
  const int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (file < 0) return false;
  struct stat status;
  if (fstat(file, &status) == 0 && S_ISREG(status.st_mode) && status.st_size > 0 &&
      static_cast<uint64_t>(status.st_size) <= SIZE_MAX) {
    void* const data = mmap(nullptr, static_cast<size_t>(status.st_size), PROT_READ, MAP_SHARED, file, 0);
    if (data != MAP_FAILED) {
      data_ = data;
      size_ = static_cast<size_t>(status.st_size);
    }
  }
  close(file);
  return data_ != nullptr;
}

#endif

}  // namespace vivavoce
