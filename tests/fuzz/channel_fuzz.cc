// What a captured role may write to a channel, for every message that a channel takes: it is the message or an error.
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "ipc/channel.h"

namespace {

using namespace postern::ipc;  // NOLINT: a test

template <class Message, Role kFrom, Role kTo>
void Offer(const char* packet, size_t octets, size_t fds) {
  auto ends = SocketPair(SOCK_SEQPACKET);
  if (!ends.ok()) abort();
  const Channel<kTo, kFrom> receiver(std::move(ends->second));
  const int zeros[8] = {};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof zeros)] = {};
  iovec data = {const_cast<char*>(packet), octets};
  msghdr message = {};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  if (fds > 0) {
    message.msg_control = control;
    message.msg_controllen = CMSG_SPACE(fds * sizeof(int));
    cmsghdr* part = CMSG_FIRSTHDR(&message);
    part->cmsg_len = CMSG_LEN(fds * sizeof(int));
    part->cmsg_level = SOL_SOCKET;
    part->cmsg_type = SCM_RIGHTS;
    for (size_t i = 0; i < fds; ++i) memcpy(CMSG_DATA(part) + i * sizeof(int), &ends->first, sizeof(int));
  }
  if (sendmsg(ends->first.get(), &message, MSG_NOSIGNAL) < 0) return;
  const auto incoming = receiver.template Receive<Message>();
  if (!incoming.ok()) return;
  if (octets != sizeof(Header) + sizeof(Message) || !incoming->body.Valid()) abort();
  for (const auto& fd : incoming->fds)
    if (!fd.valid()) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const char* packet = reinterpret_cast<const char*>(data) + 2;
  const size_t octets = size - 2, fds = data[1] % 8;
  switch (data[0] % 14) {
    case 0:
      Offer<LaunchLine, Role::kAcceptor, Role::kBackendLauncher>(packet, octets, fds);
      break;
    case 1:
      Offer<Session, Role::kAcceptor, Role::kProtocolBroker>(packet, octets, fds);
      break;
    case 2:
      Offer<StartTls, Role::kProtocolBroker, Role::kTlsWorker>(packet, octets, fds);
      break;
    case 3:
      Offer<TlsStarted, Role::kTlsWorker, Role::kProtocolBroker>(packet, octets, fds);
      break;
    case 4:
      Offer<Login, Role::kProtocolBroker, Role::kBackendLauncher>(packet, octets, fds);
      break;
    case 5:
      Offer<Stream, Role::kProtocolBroker, Role::kBackendLauncher>(packet, octets, fds);
      break;
    case 7:
      Offer<Launch, Role::kProtocolBroker, Role::kBackendLauncher>(packet, octets, fds);
      break;
    case 8:
      Offer<Connect, Role::kProtocolBroker, Role::kBackendLauncher>(packet, octets, fds);
      break;
    case 9:
      Offer<Tether, Role::kProtocolBroker, Role::kBackendLauncher>(packet, octets, fds);
      break;
    case 10:
      Offer<Resume, Role::kProtocolBroker, Role::kTlsWorker>(packet, octets, fds);
      break;
    case 11:
      Offer<BackendSocket, Role::kBackendLauncher, Role::kProtocolBroker>(packet, octets, fds);
      break;
    case 12:
      Offer<Hold, Role::kProtocolBroker, Role::kTlsWorker>(packet, octets, fds);
      break;
    case 13:
      Offer<Held, Role::kTlsWorker, Role::kProtocolBroker>(packet, octets, fds);
      break;
    default:
      Offer<Authenticated, Role::kBegin, Role::kBackendLauncher>(packet, octets, fds);
  }
  return 0;
}
