#ifndef POSTERN_BACKENDLAUNCHER_PENALTY_H_
#define POSTERN_BACKENDLAUNCHER_PENALTY_H_

#include <cstddef>
#include <map>
#include <optional>

#include "absl/time/time.h"
#include "ipc/address.h"
#include "ipc/messages.h"

namespace postern::backendlauncher {

// Failed logins by address (of IPv6 the /64), over all sessions and services. One is forgotten a minute. Whoever has
// more than are free may go on, but slowly: however many sessions he opens, his attempts follow one another at 1, 2, 4,
// 8 and at last 15 seconds. `now` is any clock that does not go back.
class Penalty {
 public:
  // 0: nobody is ever slowed down.
  explicit Penalty(int free_failures) : free_failures_(free_failures) {}

  static constexpr absl::Duration kForgetOne = absl::Minutes(1);
  static constexpr absl::Duration kSpacingMax = absl::Seconds(15);
  static constexpr absl::Duration kDelayMax = absl::Seconds(30);  // a client would not wait longer
  static constexpr int kCountedMax = 10;                          // beyond the free ones: so long lasts the worst
  static constexpr size_t kNetworksMax = 100000;                  // some 10 MB

  // How long an attempt that comes now has to wait; it has its place in the queue then. Nothing: there are so many
  // before it that it is not to be made at all.
  std::optional<absl::Duration> Queue(const ipc::Address& client, absl::Duration now);
  void Failed(const ipc::Address& client, absl::Duration now);

  size_t networks() const { return by_network_.size(); }

 private:
  struct Record {
    absl::Duration forgotten;                               // when all failures are; each is worth kForgetOne
    absl::Duration last_start = -absl::InfiniteDuration();  // of the attempt at the end of the queue
  };
  void MakeRoom(absl::Duration now);

  const int free_failures_;
  std::map<ipc::Network, Record> by_network_;
};

}  // namespace postern::backendlauncher

#endif  // POSTERN_BACKENDLAUNCHER_PENALTY_H_
