#include "supervisor/listen.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace postern::supervisor {
namespace {

constexpr int kBacklog = 1024;
constexpr int kKeepaliveQuestions = 5;

bool Set(const base::UniqueFd& socket, int level, int option, int value) {
  return setsockopt(socket.get(), level, option, &value, sizeof value) == 0;
}

// What accepted sockets inherit: no call is needed for each client, and none of the roles needs the right to make it.
bool SetForClients(const base::UniqueFd& socket, absl::Duration keepalive) {
  const auto silence = static_cast<int>(absl::ToInt64Seconds(keepalive));
  const int interval = silence / kKeepaliveQuestions;
  const int gone = silence + kKeepaliveQuestions * interval;
  // The kernel asks nothing while octets of ours are unacknowledged, and sends these again for 15 minutes or more. In
  // IDLE that is what becomes of whoever vanishes before a message comes. TCP_USER_TIMEOUT ends that too. It also ends
  // a client that answers but takes nothing for so long, which no option tells from one that has gone; and it counts
  // instead of TCP_KEEPCNT, so that a longer one would put off both ends.
  return Set(socket, SOL_SOCKET, SO_KEEPALIVE, 1) && Set(socket, IPPROTO_TCP, TCP_KEEPIDLE, silence) &&
         Set(socket, IPPROTO_TCP, TCP_KEEPINTVL, interval) &&
         Set(socket, IPPROTO_TCP, TCP_KEEPCNT, kKeepaliveQuestions) &&
         Set(socket, IPPROTO_TCP, TCP_USER_TIMEOUT, 1000 * gone) &&
         // One write for one flight: without this Nagle waits for the client's delayed acknowledgement, 40 ms.
         Set(socket, IPPROTO_TCP, TCP_NODELAY, 1);
}

}  // namespace

absl::StatusOr<base::UniqueFd> OpenListener(const config::Listener& listener, absl::Duration keepalive) {
  const auto failed = [&] { return absl::UnavailableError(absl::StrCat(listener.text, ": ", strerror(errno))); };
  // Non-blocking: a client that vanishes between poll and accept must not leave the acceptor waiting for the next one.
  base::UniqueFd socket(::socket(listener.address.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket.valid() || !Set(socket, SOL_SOCKET, SO_REUSEADDR, 1) || !SetForClients(socket, keepalive))
    return failed();
  if (listener.address.ss_family == AF_INET6 && !Set(socket, IPPROTO_IPV6, IPV6_V6ONLY, 1)) return failed();
  if (bind(socket.get(), reinterpret_cast<const sockaddr*>(&listener.address), listener.octets) != 0 ||
      listen(socket.get(), kBacklog) != 0)
    return failed();
  return socket;
}

}  // namespace postern::supervisor
