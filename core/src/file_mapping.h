// A file as read-only memory, whose pages all processes share.
#pragma once

#include <cstddef>

namespace vivavoce {

/// The bytes of a file while it lives. The file must keep its length meanwhile: a page that is gone cannot be read.
class FileMapping {
 public:
  FileMapping() = default;
  ~FileMapping();
  FileMapping(const FileMapping&) = delete;
  FileMapping& operator=(const FileMapping&) = delete;

  /// Maps a file once; `path` is UTF-8 on Windows. False where it cannot be opened, is empty or no regular file.
  bool Open(const char* path);

  /// At a page's beginning; null before Open.
  const void* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  void* data_ = nullptr;
  size_t size_ = 0;
};

}  // namespace vivavoce
