// What a real-time host must be able to rely on and Python cannot see: run() allocates nothing and calls no system.
#include <cstdlib>
#include <new>

#include "check.h"
#include "host.h"
#include "image.h"

#if defined(__linux__)
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#endif

namespace {

int allocations = 0;

void* Allocate(size_t size) {
  ++allocations;
  return std::malloc(size);
}

}  // namespace

// The plugin finds these before those of the standard library, as this program exports its symbols.
void* operator new(size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void* operator new[](size_t size, const std::nothrow_t&) noexcept { return Allocate(size); }
void* operator new(size_t size) {
  void* const memory = Allocate(size);
  if (memory == nullptr) std::abort();
  return memory;
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, size_t) noexcept { std::free(memory); }
void operator delete[](void* memory) noexcept { std::free(memory); }
void operator delete[](void* memory, size_t) noexcept { std::free(memory); }

namespace {

constexpr int kRuns = 400;

void TestNothingIsAllocated(Host* host) {
  const int before = allocations;
  for (int i = 0; i < kRuns; ++i) host->Run();
  VV_CHECK(allocations == before, "%d allocations of %s", allocations - before, host->label());
}

/// In a process that the kernel ends at any call but read, write and exit. Skipped where it does not offer that.
void TestNoSystemIsCalled(Host* host) {
#if defined(__linux__)
  constexpr int kNotOffered = 77;
  const pid_t child = fork();
  if (child == 0) {
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0) _exit(kNotOffered);
    for (int i = 0; i < kRuns; ++i) host->Run();
    syscall(SYS_exit, 0);
  }
  int status = -1;
  VV_CHECK(child > 0 && waitpid(child, &status, 0) == child, "fork or waitpid");
  if (WIFEXITED(status) && WEXITSTATUS(status) == kNotOffered) {
    std::printf("the kernel offers no strict mode: system calls are not tested\n");
    return;
  }
  VV_CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s ended with status %d", host->label(), status);
#else
  (void)host;
#endif
}

}  // namespace

/// The argument is the plugin.
int main(int, char** arguments) {
  char path[] = "ladspa-model-XXXXXX";
  const int file = mkstemp(path);
  Image image = RandomImage(16, 32, 48, 16, 4);
  VV_CHECK(write(file, image.data(), image.size()) == static_cast<ssize_t>(image.size()), "%s", path);
  close(file);
  setenv("VIVAVOCE_MODEL", path, 1);
  for (unsigned long index = 0; index < 2; ++index) {
    const int before = allocations;
    Host host(arguments[1], index, 32);
    VV_CHECK(host.handle() != nullptr, "plugin %lu", index);
    if (host.handle() == nullptr) break;
    VV_CHECK(allocations - before > 9, "the allocations of instantiate are not counted");
    VV_CHECK(host.latency() == (index == 0 ? 1920.f : 1968.f), "%g", static_cast<double>(host.latency()));
    TestNothingIsAllocated(&host);
    TestNoSystemIsCalled(&host);
  }
  unlink(path);
  return Report();
}
