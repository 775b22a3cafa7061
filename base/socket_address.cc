#include "base/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/un.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace postern::base {
namespace {

constexpr absl::string_view kForm = "is not an address such as \"192.0.2.1:110\" or \"[2001:db8::1]:110\"";

// No sign, no space, no leading zero: those are slips, and SimpleAtoi takes some of them.
bool ReadPort(absl::string_view text, uint16_t* port) {
  uint32_t number = 0;
  if (text.empty() || text.size() > 5 || text[0] == '0') return false;
  if (!std::all_of(text.begin(), text.end(), absl::ascii_isdigit)) return false;
  if (!absl::SimpleAtoi(text, &number) || number > UINT16_MAX) return false;
  *port = static_cast<uint16_t>(number);
  return true;
}

// inet_pton reads a C string: a NUL would end it early.
bool ReadHost(int family, absl::string_view host, void* out) {
  return !absl::StrContains(host, '\0') && inet_pton(family, std::string(host).c_str(), out) == 1;
}

template <typename Sockaddr>
void Store(const Sockaddr& from, sockaddr_storage* address, socklen_t* octets) {
  *address = {};
  memcpy(address, &from, sizeof from);
  *octets = sizeof from;
}

}  // namespace

absl::string_view ReadAddress(absl::string_view text, sockaddr_storage* address, socklen_t* octets) {
  const size_t colon = text.rfind(':');
  if (colon == absl::string_view::npos) return kForm;
  const absl::string_view host = text.substr(0, colon);
  if (host.empty() || host == "*")
    return "names no address; for all of them give both \"0.0.0.0:PORT\" and \"[::]:PORT\"";
  uint16_t port = 0;
  sockaddr_in v4 = {};
  sockaddr_in6 v6 = {};
  const bool is_v4 = ReadHost(AF_INET, host, &v4.sin_addr);
  const bool is_v6 = !is_v4 && host.size() > 2 && host.front() == '[' && host.back() == ']' &&
                     ReadHost(AF_INET6, host.substr(1, host.size() - 2), &v6.sin6_addr);
  if (!is_v4 && !is_v6) return kForm;
  if (!ReadPort(text.substr(colon + 1), &port)) return "has no port from 1 to 65535";
  // A socket for both families is never made, so such an address could not be bound.
  if (is_v6 && IN6_IS_ADDR_V4MAPPED(&v6.sin6_addr)) return "is an IPv4 address; write it as one";
  if (is_v4) {
    v4.sin_family = AF_INET;
    v4.sin_port = htons(port);
    Store(v4, address, octets);
  } else {
    v6.sin6_family = AF_INET6;
    v6.sin6_port = htons(port);
    Store(v6, address, octets);
  }
  return "";
}

absl::string_view ReadAddressOrPath(absl::string_view text, sockaddr_storage* address, socklen_t* octets) {
  if (!absl::StartsWith(text, "/")) {
    const absl::string_view problem = ReadAddress(text, address, octets);
    const bool is_name = problem == kForm && !absl::StrContains(text, ':');
    return is_name ? "is neither an address with its port nor the absolute path of a socket" : problem;
  }
  sockaddr_un local = {};
  if (text.size() >= sizeof local.sun_path) return "is too long for the path of a socket (107 octets)";
  if (absl::StrContains(text, '\0')) return "holds a NUL";
  local.sun_family = AF_UNIX;
  memcpy(local.sun_path, text.data(), text.size());
  Store(local, address, octets);
  return "";
}

}  // namespace postern::base
