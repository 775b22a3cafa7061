#include "ipc/channel.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <string>
#include <vector>

namespace postern::ipc {
namespace {

using base::UniqueFd;

size_t OpenFds() {
  size_t count = 0;
  for (int fd = 0; fd < 256; ++fd) count += fcntl(fd, F_GETFD) != -1;
  return count;
}

ino_t Inode(int fd) {
  struct stat status;
  return fstat(fd, &status) == 0 ? status.st_ino : 0;
}

// Both ends of a connection between two roles, and pipes to send along.
template <Role kFrom, Role kTo>
struct Line {
  Line() {
    auto ends = SocketPair(SOCK_SEQPACKET);
    from = Channel<kFrom, kTo>(std::move(ends->first));
    to = Channel<kTo, kFrom>(std::move(ends->second));
  }
  Channel<kFrom, kTo> from;
  Channel<kTo, kFrom> to;
};

template <class Message, Role kFrom, Role kTo>
void RoundTrip(const Message& sent) {
  Line<kFrom, kTo> line;
  std::array<UniqueFd, Message::kFds> own;
  std::array<int, Message::kFds> fds;
  for (size_t i = 0; i < own.size(); ++i) {
    own[i] = UniqueFd(memfd_create("test", MFD_CLOEXEC));
    fds[i] = own[i].get();
  }
  ASSERT_TRUE(line.from.Send(sent, fds).ok());
  auto incoming = line.to.template Receive<Message>();
  ASSERT_TRUE(incoming.ok()) << incoming.status();
  EXPECT_EQ(memcmp(&incoming->body, &sent, sizeof sent), 0);
  for (size_t i = 0; i < own.size(); ++i) {
    EXPECT_EQ(Inode(incoming->fds[i].get()), Inode(own[i].get())) << "descriptor " << i << " changed its place";
    EXPECT_EQ(fcntl(incoming->fds[i].get(), F_GETFD), FD_CLOEXEC);
  }
  EXPECT_EQ(line.to.template Receive<Message>().status().code(), absl::StatusCode::kUnavailable);
}

TEST(MessagesTest, EveryMessageMakesTheRoundTrip) {
  const Address address = {4, 110, {127, 0, 0, 1}};
  const TlsFacts facts = {Text<14>::From("TLSv1.3"), Text<62>::From("TLS_AES_128_GCM_SHA256"), Text<254>::From("mx")};
  RoundTrip<Ready, Role::kAcceptor, Role::kSupervisor>({});
  RoundTrip<Drain, Role::kSupervisor, Role::kAcceptor>({});
  RoundTrip<Session, Role::kAcceptor, Role::kProtocolBroker>({1, 2});
  RoundTrip<LaunchLine, Role::kAcceptor, Role::kBackendLauncher>({1, 2, address, address});
  RoundTrip<StartTls, Role::kProtocolBroker, Role::kTlsWorker>({1, 2, PlainSide::kHold});
  RoundTrip<TlsStarted, Role::kTlsWorker, Role::kProtocolBroker>({facts});
  RoundTrip<Login, Role::kProtocolBroker, Role::kBackendLauncher>({facts});
  RoundTrip<LoginResult, Role::kBackendLauncher, Role::kProtocolBroker>({LoginOutcome::kAccepted});
  RoundTrip<Stream, Role::kProtocolBroker, Role::kBackendLauncher>({});
  RoundTrip<Stream, Role::kBackendLauncher, Role::kBegin>({});
  RoundTrip<Started, Role::kBackendLauncher, Role::kProtocolBroker>({2});
  RoundTrip<Authenticated, Role::kBegin, Role::kBackendLauncher>({0, 0, Text<254>::From("demo")});
  RoundTrip<ExecFailed, Role::kBegin, Role::kBackendLauncher>({2});
  RoundTrip<BackendSocket, Role::kBackendLauncher, Role::kProtocolBroker>({});
  RoundTrip<Launch, Role::kProtocolBroker, Role::kBackendLauncher>({facts});
  RoundTrip<Connect, Role::kProtocolBroker, Role::kBackendLauncher>({facts});
  RoundTrip<Tether, Role::kProtocolBroker, Role::kBackendLauncher>({});
  RoundTrip<Resume, Role::kProtocolBroker, Role::kTlsWorker>({Text<500>::From("-ERR away"), Next::kEnd});
  RoundTrip<Hold, Role::kProtocolBroker, Role::kTlsWorker>({});
  RoundTrip<Held, Role::kTlsWorker, Role::kProtocolBroker>({});
}

TEST(MessagesTest, NobodyMaySendWhatIsNotARow) {
  EXPECT_TRUE(Permitted(Type::kLogin, Role::kProtocolBroker, Role::kBackendLauncher));
  EXPECT_FALSE(Permitted(Type::kLogin, Role::kTlsWorker, Role::kBackendLauncher));
  EXPECT_FALSE(Permitted(Type::kLaunchLine, Role::kProtocolBroker, Role::kBackendLauncher));
  EXPECT_FALSE(Permitted(Type::kAuthenticated, Role::kProtocolBroker, Role::kBackendLauncher));
  EXPECT_FALSE(Permitted(Type::kLaunch, Role::kTlsWorker, Role::kBackendLauncher));
  EXPECT_FALSE(Permitted(Type::kResume, Role::kBackendLauncher, Role::kTlsWorker));
}

TEST(TextTest, HoldsPrintableAsciiOnly) {
  EXPECT_EQ(Text<8>::From("a b\n\xff"
                          "cdefgh")
                .view(),
            "a b??cde");
  Text<8> text = Text<8>::From("abc");
  EXPECT_TRUE(text.Valid());
  text.octets = 9;
  EXPECT_FALSE(text.Valid());
  text.octets = 4;  // takes in a NUL
  EXPECT_FALSE(text.Valid());
}

// What a captured peer may try on a line where a Login (one descriptor) belongs.
std::string Packet(uint16_t version, Type type, size_t payload) {
  const Header header = {version, type};
  return std::string(reinterpret_cast<const char*>(&header), sizeof header) + std::string(payload, '\0');
}

TEST(ChannelTest, RefusesWhatIsNotTheMessageAndKeepsNoDescriptor) {
  const size_t kRight = sizeof(Login);
  std::string bad_field = Packet(kVersion, Type::kLogin, kRight);
  bad_field[sizeof(Header)] = '\x7f';  // TlsFacts.version longer than its array
  const struct {
    const char* what;
    std::string packet;
    size_t fds;
  } kRows[] = {
      {"another build", Packet(kVersion + 1, Type::kLogin, kRight), 1},
      {"out of turn", Packet(kVersion, Type::kStream, kRight), 1},
      {"no such type", Packet(kVersion, static_cast<Type>(999), kRight), 1},
      {"short by one", Packet(kVersion, Type::kLogin, kRight - 1), 1},
      {"long by one", Packet(kVersion, Type::kLogin, kRight + 1), 1},
      {"very long", Packet(kVersion, Type::kLogin, 60000), 1},
      {"header only", Packet(kVersion, Type::kLogin, 0), 1},
      {"one octet", "x", 0},
      {"no descriptor", Packet(kVersion, Type::kLogin, kRight), 0},
      {"two descriptors", Packet(kVersion, Type::kLogin, kRight), 2},
      {"as many as fit", Packet(kVersion, Type::kLogin, kRight), kFdsMax},
      {"more than fit", Packet(kVersion, Type::kLogin, kRight), 200},
      {"a field out of range", bad_field, 1},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.what);
    auto ends = SocketPair(SOCK_SEQPACKET);
    ASSERT_TRUE(ends.ok());
    const Channel<Role::kBackendLauncher, Role::kProtocolBroker> launcher(std::move(ends->second));
    const size_t open_before = OpenFds();
    const std::vector<int> fds(row.fds, 0);
    std::vector<char> control(CMSG_SPACE(fds.size() * sizeof(int)));
    iovec data = {const_cast<char*>(row.packet.data()), row.packet.size()};
    msghdr message = {};
    message.msg_iov = &data;
    message.msg_iovlen = 1;
    if (!fds.empty()) {
      message.msg_control = control.data();
      message.msg_controllen = control.size();
      cmsghdr* part = CMSG_FIRSTHDR(&message);
      *part = {CMSG_LEN(fds.size() * sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
      memcpy(CMSG_DATA(part), fds.data(), fds.size() * sizeof(int));
    }
    ASSERT_GE(sendmsg(ends->first.get(), &message, 0), 0);
    EXPECT_EQ(launcher.Receive<Login>().status().code(), absl::StatusCode::kInvalidArgument);
    EXPECT_EQ(OpenFds(), open_before);
  }
}

TEST(ChannelTest, TellsTheEndFromNothingYet) {
  Line<Role::kBegin, Role::kBackendLauncher> line;
  EXPECT_EQ(line.to.Receive<ExecFailed>().status().code(), absl::StatusCode::kUnavailable);
  line.from.Close();
  EXPECT_EQ(line.to.Receive<ExecFailed>().status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(line.to.Send(Stream{}, {0}).code(), absl::StatusCode::kUnavailable);
}

}  // namespace
}  // namespace postern::ipc
