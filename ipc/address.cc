#include "ipc/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <algorithm>

namespace postern::ipc {

Address FromSockaddr(const sockaddr_storage& storage) {
  Address address;
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    address.version = 4;
    address.port = ntohs(v4.sin_port);
    memcpy(address.octets, &v4.sin_addr, 4);
  } else if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    const bool mapped = IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr);
    address.version = mapped ? 4 : 6;
    address.port = ntohs(v6.sin6_port);
    std::copy(v6.sin6_addr.s6_addr + (mapped ? 12 : 0), v6.sin6_addr.s6_addr + 16, address.octets);
  }
  return address;
}

std::string ToText(const Address& address) {
  char text[INET6_ADDRSTRLEN] = "";
  inet_ntop(address.version == 4 ? AF_INET : AF_INET6, address.octets, text, sizeof text);
  return text;
}

Network NetworkOf(const Address& address) {
  Network network = {static_cast<uint8_t>(address.version)};
  std::copy_n(address.octets, address.version == 4 ? 4 : 8, network.begin() + 1);
  return network;
}

}  // namespace postern::ipc
