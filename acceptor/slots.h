#ifndef POSTERN_ACCEPTOR_SLOTS_H_
#define POSTERN_ACCEPTOR_SLOTS_H_

#include <cstddef>
#include <map>

#include "ipc/address.h"
#include "ipc/messages.h"

namespace postern::acceptor {

// Counts sessions, in all and per address (of IPv6 the /64).
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
  const size_t sessions_max_, sessions_per_address_max_;
  size_t in_use_ = 0;
  std::map<ipc::Network, size_t> by_network_;  // only those that hold a slot
};

}  // namespace postern::acceptor

#endif  // POSTERN_ACCEPTOR_SLOTS_H_
