#ifndef POSTERN_BASE_DEADLINE_H_
#define POSTERN_BASE_DEADLINE_H_

#include <algorithm>
#include <ctime>

#include "absl/time/time.h"

namespace postern::base {

// A point on CLOCK_MONOTONIC that a change of the wall clock does not move. Limits are absolute: a peer that sends an
// octet now and then gains no time.
class Deadline {
 public:
  static Deadline In(absl::Duration duration) { return Deadline(Now() + duration); }
  static Deadline Never() { return Deadline(absl::InfiniteDuration()); }

  bool Passed() const { return Now() >= at_; }
  // For poll(2): milliseconds, rounded up so that a wake-up is never early; -1 for never.
  int PollMillis() const {
    if (at_ == absl::InfiniteDuration()) return -1;
    const absl::Duration left = at_ - Now();
    if (left <= absl::ZeroDuration()) return 0;
    return static_cast<int>(
        absl::ToInt64Milliseconds(absl::Ceil(std::min(left, absl::Hours(240)), absl::Milliseconds(1))));
  }
  friend auto operator<=>(const Deadline& a, const Deadline& b) { return a.at_ < b.at_ ? -1 : (b.at_ < a.at_ ? 1 : 0); }
  friend bool operator==(const Deadline& a, const Deadline& b) { return a.at_ == b.at_; }

  static absl::Duration Now() {
    timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return absl::DurationFromTimespec(now);
  }

 private:
  explicit Deadline(absl::Duration at) : at_(at) {}
  absl::Duration at_;
};

}  // namespace postern::base

#endif  // POSTERN_BASE_DEADLINE_H_
