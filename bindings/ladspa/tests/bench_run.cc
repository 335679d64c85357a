// How long run() takes, as the thread's CPU time at PipeWire's smallest quantum; prints JSON.
//
//   VIVAVOCE_MODEL=MODEL.vvm bench_run PLUGIN.so [SECONDS]
//
// "flat out": one run() after the other. "paced": with a sleep of a block between them. "cold": paced, and all caches
// are filled with other things before each frame.
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "host.h"

namespace {

constexpr unsigned long kBlock = 32;
constexpr int kSampleRate = 48000;
constexpr int kBlocksOfFrame = 15;
constexpr size_t kMoreThanCaches = size_t{96} << 20;

double Milliseconds(clockid_t clock) {
  timespec time;
  clock_gettime(clock, &time);
  return 1e3 * static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_nsec);
}

void Measure(const char* plugin, unsigned long index, const char* pace, double seconds) {
  const double start = Milliseconds(CLOCK_MONOTONIC);
  Host host(plugin, index, kBlock);
  if (host.handle() == nullptr) std::exit(1);
  const double ready = Milliseconds(CLOCK_MONOTONIC) - start;
  const bool paced = std::strcmp(pace, "flat out") != 0;
  std::vector<char> other(std::strcmp(pace, "cold") == 0 ? kMoreThanCaches : 0);
  std::vector<double> times(static_cast<size_t>(seconds * kSampleRate / kBlock));
  for (size_t i = 0; i < times.size(); ++i) {
    const timespec block = {0, 1000000000L / kSampleRate * static_cast<long>(kBlock)};
    if (paced) nanosleep(&block, nullptr);
    if (i % kBlocksOfFrame == kBlocksOfFrame - 1) {
      for (size_t line = 0; line < other.size(); line += 64) ++other[line];
    }
    const double before = Milliseconds(CLOCK_THREAD_CPUTIME_ID);
    host.Run();
    times[i] = Milliseconds(CLOCK_THREAD_CPUTIME_ID) - before;
  }
  double sum = 0;
  for (const double time : times) sum += time;
  std::sort(times.begin(), times.end());
  std::printf("{\"bench\": \"ladspa\", \"label\": \"%s\", \"block\": %lu, \"pace\": \"%s\", \"load_pct\": %.2f, ",
              host.label(), kBlock, pace, sum / (10 * seconds));
  std::printf("\"p99_9_ms\": %.3f, \"second_worst_ms\": %.3f, \"worst_ms\": %.3f, \"instantiate_ms\": %.2f}\n",
              times[times.size() * 999 / 1000], times[times.size() - 2], times.back(), ready);
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const double seconds = count > 2 ? std::atof(arguments[2]) : 5;
  for (unsigned long index = 0; index < 2; ++index) {
    for (const char* pace : {"flat out", "paced", "cold"}) Measure(arguments[1], index, pace, seconds);
  }
  return 0;
}
