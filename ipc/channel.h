#ifndef POSTERN_IPC_CHANNEL_H_
#define POSTERN_IPC_CHANNEL_H_

#include <array>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "base/unique_fd.h"
#include "ipc/messages.h"

namespace postern::ipc {

// A connected pair of the type (SOCK_SEQPACKET, SOCK_STREAM), close-on-exec, blocking.
absl::StatusOr<std::pair<base::UniqueFd, base::UniqueFd>> SocketPair(int type);

namespace internal {
// One packet out. `fds` are borrowed. send(2) where there are none, so that a filter can do without sendmsg(2).
absl::Status SendPacket(int socket, absl::Span<const char> packet, absl::Span<const int> fds);
// One packet in, exactly as long as `packet`, with exactly as many descriptors as `fds`; whatever else came is closed.
absl::Status ReceivePacket(int socket, absl::Span<char> packet, absl::Span<base::UniqueFd> fds);
}  // namespace internal

template <class Message>
struct Incoming {
  Message body;
  std::array<base::UniqueFd, Message::kFds> fds;  // in the order the message's comment gives; owned
};

// One end of a SOCK_SEQPACKET connection between two roles.
template <Role kSelf, Role kPeer>
class Channel {
 public:
  Channel() = default;
  explicit Channel(base::UniqueFd socket) : socket_(std::move(socket)) {}

  int fd() const { return socket_.get(); }
  bool open() const { return socket_.valid(); }
  void Close() { socket_.Reset(); }
  // Gives the socket back; the channel is closed then.
  base::UniqueFd Take() { return std::move(socket_); }

  // Blocks while the peer's queue is full (bounded by SO_SNDTIMEO where the socket has one). `fds` stay the caller's.
  // Unavailable: the peer is gone, or its queue stayed full.
  template <class Message>
  absl::Status Send(const Message& message, std::array<int, Message::kFds> fds = {}) const {
    static_assert(Permitted(Message::kType, kSelf, kPeer), "not in kPermits");
    static_assert(sizeof(Message) <= kPayloadOctetsMax && Message::kFds <= kFdsMax);
    // No padding: nothing of our memory goes out with a message.
    static_assert(std::is_trivially_copyable_v<Message> && std::has_unique_object_representations_v<Message>);
    char packet[sizeof(Header) + sizeof(Message)];
    const Header header = {kVersion, Message::kType};
    memcpy(packet, &header, sizeof header);
    memcpy(packet + sizeof header, &message, sizeof message);
    return internal::SendPacket(socket_.get(), packet, fds);
  }

  // Takes the next message, which must be a Message: what may come next is always known. Does not block.
  // Unavailable: nothing is there. OutOfRange: the peer has closed. InvalidArgument: it broke the rules; the caller
  // ends the connection. Descriptors that were not asked for are closed.
  template <class Message>
  absl::StatusOr<Incoming<Message>> Receive() const {
    static_assert(Permitted(Message::kType, kPeer, kSelf), "not in kPermits");
    char packet[sizeof(Header) + sizeof(Message)];
    Incoming<Message> incoming;
    absl::Status received =
        internal::ReceivePacket(socket_.get(), absl::MakeSpan(packet), absl::MakeSpan(incoming.fds));
    if (!received.ok()) return received;
    Header header;
    memcpy(&header, packet, sizeof header);
    memcpy(static_cast<void*>(&incoming.body), packet + sizeof header, sizeof incoming.body);
    if (header.version != kVersion) return absl::InvalidArgumentError("a message of another build");
    if (header.type != Message::kType) return absl::InvalidArgumentError("a message out of turn");
    if (!incoming.body.Valid()) return absl::InvalidArgumentError("a message with a field out of range");
    return incoming;
  }

 private:
  base::UniqueFd socket_;
};

}  // namespace postern::ipc

#endif  // POSTERN_IPC_CHANNEL_H_
