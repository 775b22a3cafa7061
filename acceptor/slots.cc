#include "acceptor/slots.h"

#include <algorithm>

#include "base/check.h"

namespace postern::acceptor {

Slots::Key Slots::KeyOf(const ipc::Address& client) {
  Key key = {static_cast<uint8_t>(client.version)};
  std::copy_n(client.octets, client.version == 4 ? 4 : 8, key.begin() + 1);
  return key;
}

Slots::Answer Slots::Take(const ipc::Address& client) {
  if (in_use_ >= sessions_max_) return Answer::kAllInUse;
  const auto found = by_address_.try_emplace(KeyOf(client), 0).first;
  if (found->second >= sessions_per_address_max_) return Answer::kAddressFull;
  ++found->second;
  ++in_use_;
  return Answer::kTaken;
}

void Slots::Free(const ipc::Address& client) {
  const auto found = by_address_.find(KeyOf(client));
  POSTERN_CHECK(found != by_address_.end() && in_use_ > 0);
  --in_use_;
  if (--found->second == 0) by_address_.erase(found);
}

}  // namespace postern::acceptor
