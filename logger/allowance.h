#ifndef POSTERN_LOGGER_ALLOWANCE_H_
#define POSTERN_LOGGER_ALLOWANCE_H_

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/time/time.h"

namespace postern::logger {

// How many lines the backends together may have in the log: kBurst at once, kPerSecond for ever. A thousand of them
// that end at the same time are heard; one that complains without end fills no disk. `now` is a monotonic clock's.
class Allowance {
 public:
  static constexpr double kBurst = 2000, kPerSecond = 100;
  static constexpr absl::Duration kReportEvery = absl::Seconds(1);

  // Takes the right to one line. False: there is none, and the line counts as lost.
  bool Take(absl::Duration now) {
    left_ = std::min(kBurst, left_ + kPerSecond * absl::ToDoubleSeconds(now - last_));
    last_ = now;
    if (left_ < 1) {
      ++lost_;
      return false;
    }
    left_ -= 1;
    return true;
  }

  bool lost() const { return lost_ != 0; }
  // How many were lost since this was last told; 0 if it was less than kReportEvery ago.
  uint64_t TakeLost(absl::Duration now) {
    if (now - reported_ < kReportEvery) return 0;
    reported_ = now;
    return std::exchange(lost_, 0);
  }

 private:
  double left_ = kBurst;
  uint64_t lost_ = 0;
  absl::Duration last_ = absl::ZeroDuration(), reported_ = -absl::InfiniteDuration();
};

}  // namespace postern::logger

#endif  // POSTERN_LOGGER_ALLOWANCE_H_
