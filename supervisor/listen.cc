#include "supervisor/listen.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace postern::supervisor {
namespace {

constexpr int kBacklog = 1024;

}  // namespace

absl::StatusOr<base::UniqueFd> OpenListener(const config::Listener& listener) {
  const auto failed = [&] { return absl::UnavailableError(absl::StrCat(listener.text, ": ", strerror(errno))); };
  // Non-blocking: a client that vanishes between poll and accept must not leave the acceptor waiting for the next one.
  base::UniqueFd socket(::socket(listener.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const int kOn = 1;
  if (!socket.valid() || setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &kOn, sizeof kOn) != 0) return failed();
  if (listener.address.ss_family == AF_INET6 &&
      setsockopt(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, &kOn, sizeof kOn) != 0)
    return failed();
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&listener.address), listener.octets) != 0 ||
      listen(socket.get(), kBacklog) != 0)
    return failed();
  return socket;
}

}  // namespace postern::supervisor
