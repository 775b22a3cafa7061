#ifndef POSTERN_ACCEPTOR_SLOTS_H_
#define POSTERN_ACCEPTOR_SLOTS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>

#include "ipc/messages.h"

namespace postern::acceptor {

// Counts sessions, in all and per address. An IPv6 client counts by its /64, which is what one customer has (RFC 6177).
class Slots {
 public:
  Slots(size_t sessions_max, size_t sessions_per_address_max)
      : sessions_max_(sessions_max), sessions_per_address_max_(sessions_per_address_max) {}

  enum class Answer { kTaken, kAllInUse, kAddressFull };
  // Takes a slot, unless there is none.
  Answer Take(const ipc::Address& client);
  // Gives back what Take() took for that client.
  void Free(const ipc::Address& client);

  size_t in_use() const { return in_use_; }

 private:
  using Key = std::array<uint8_t, 9>;  // 4 or 6, then 4 or 8 octets
  static Key KeyOf(const ipc::Address& client);

  const size_t sessions_max_, sessions_per_address_max_;
  size_t in_use_ = 0;
  std::map<Key, size_t> by_address_;  // only addresses that hold a slot
};

}  // namespace postern::acceptor

#endif  // POSTERN_ACCEPTOR_SLOTS_H_
