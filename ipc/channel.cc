#include "ipc/channel.h"

#include <sys/socket.h>

#include <cerrno>

#include "absl/strings/str_cat.h"

namespace postern::ipc {

absl::StatusOr<std::pair<base::UniqueFd, base::UniqueFd>> SocketPair(int type) {
  int ends[2];
  if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0) return absl::ErrnoToStatus(errno, "socketpair");
  return std::make_pair(base::UniqueFd(ends[0]), base::UniqueFd(ends[1]));
}

namespace internal {
namespace {

// The descriptors of a packet: as many as fit into `fds` go there, every other one is closed. Returns how many came.
size_t TakeFds(msghdr* message, absl::Span<base::UniqueFd> fds) {
  size_t count = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t in_part = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < in_part; ++i) {
      int fd;
      memcpy(&fd, CMSG_DATA(part) + i * sizeof fd, sizeof fd);
      base::UniqueFd owner(fd);
      if (count < fds.size()) fds[count] = std::move(owner);
      ++count;
    }
  }
  return count;
}

absl::Status FromErrno(const char* what) {
  if (errno == EAGAIN || errno == EPIPE || errno == ECONNRESET || errno == ETOOMANYREFS)
    return absl::UnavailableError(absl::StrCat(what, ": ", strerror(errno)));
  return absl::ErrnoToStatus(errno, what);
}

}  // namespace

absl::Status SendPacket(int socket, absl::Span<const char> packet, absl::Span<const int> fds) {
  ssize_t sent;
  if (fds.empty()) {
    do sent = send(socket, packet.data(), packet.size(), MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? FromErrno("send") : absl::OkStatus();
  }
  iovec data = {const_cast<char*>(packet.data()), packet.size()};
  alignas(cmsghdr) char control[CMSG_SPACE(kFdsMax * sizeof(int))] = {};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  cmsghdr* part = CMSG_FIRSTHDR(&message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  memcpy(CMSG_DATA(part), fds.data(), fds.size() * sizeof(int));
  do sent = sendmsg(socket, &message, MSG_NOSIGNAL);
  while (sent < 0 && errno == EINTR);
  return sent < 0 ? FromErrno("sendmsg") : absl::OkStatus();
}

absl::Status ReceivePacket(int socket, absl::Span<char> packet, absl::Span<base::UniqueFd> fds) {
  ssize_t octets;
  size_t fds_received = 0;
  bool truncated = false;
  char buffer[sizeof(Header) + kPayloadOctetsMax + 1];  // room for one octet more than belongs, to see that it came
  if (fds.empty()) {
    // Without a control buffer the kernel throws away any descriptor that was sent.
    do octets = recv(socket, buffer, packet.size() + 1, MSG_DONTWAIT);
    while (octets < 0 && errno == EINTR);
  } else {
    iovec data = {buffer, packet.size() + 1};
    alignas(cmsghdr) char control[CMSG_SPACE(kFdsMax * sizeof(int))];
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    do octets = recvmsg(socket, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    while (octets < 0 && errno == EINTR);
    if (octets >= 0) fds_received = TakeFds(&message, fds);
    truncated = octets >= 0 && (message.msg_flags & MSG_CTRUNC) != 0;
  }
  if (octets < 0) return FromErrno("receive");
  if (octets == 0 && fds_received == 0) return absl::OutOfRangeError("the peer has closed");
  if (octets != static_cast<ssize_t>(packet.size()) || fds_received != fds.size() || truncated)
    return absl::InvalidArgumentError(absl::StrCat("a message of ", octets, " octets and ", fds_received,
                                                   " descriptors where ", packet.size(), " and ", fds.size(),
                                                   " belong"));
  memcpy(packet.data(), buffer, packet.size());
  return absl::OkStatus();
}

}  // namespace internal
}  // namespace postern::ipc
