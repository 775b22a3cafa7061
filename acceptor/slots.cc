#include "acceptor/slots.h"

#include "base/check.h"

namespace postern::acceptor {

Slots::Answer Slots::Take(const ipc::Address& client) {
  if (in_use_ >= sessions_max_) return Answer::kAllInUse;
  const auto found = by_network_.try_emplace(ipc::NetworkOf(client), 0).first;
  if (found->second >= sessions_per_address_max_) return Answer::kAddressFull;
  ++found->second;
  ++in_use_;
  return Answer::kTaken;
}

void Slots::Free(const ipc::Address& client) {
  const auto found = by_network_.find(ipc::NetworkOf(client));
  POSTERN_CHECK(found != by_network_.end() && in_use_ > 0);
  --in_use_;
  if (--found->second == 0) by_network_.erase(found);
}

}  // namespace postern::acceptor
