#include "tlsworker/relay.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <ctime>
#include <string>
#include <thread>
#include <utility>

#include "ipc/channel.h"
#include "tlsworker/context.h"
#include "tlsworker/session.h"
#include "tlsworker/test_credentials.h"

namespace postern::tlsworker {
namespace {

using base::Deadline;
using base::UniqueFd;

ContextPtr Context(const Credentials& credentials) {
  ContextPtr context = *MakeContext("pop3");
  EXPECT_EQ(AddCertificate(context.get(), *ReadChain(FileWith(credentials.certificate)), FileWith(credentials.key)),
            absl::OkStatus());
  return context;
}

TEST(PassableTest, HoldsBackWhatIsNotALine) {
  const struct {
    std::string octets;
    bool whole_lines, at_end;
    size_t passable;
  } kRows[] = {
      {"QUIT", true, false, 0},
      {"DELE 1\r\nQUIT", true, false, 8},
      {"DELE 1\r\n", true, false, 8},
      {"QUIT", false, false, 4},
      {"QUIT", true, true, 4},  // close_notify: the client meant to end here
      {std::string(16384, 'x'), true, false, 16384},
      {std::string(16383, 'x'), true, false, 0},
  };
  for (const auto& row : kRows) {
    Buffer buffer;
    ASSERT_LE(row.octets.size(), buffer.space_octets());
    memcpy(buffer.space(), row.octets.data(), row.octets.size());
    buffer.Added(row.octets.size());
    EXPECT_EQ(Passable(buffer, row.whole_lines, row.at_end), row.passable) << row.octets.substr(0, 20);
  }
}

// Two ends of a TCP connection, which a socketpair is none of: MSG_MORE means nothing to that.
std::pair<UniqueFd, UniqueFd> TcpPair() {
  const UniqueFd listener(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t octets = sizeof address;
  UniqueFd client(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(bind(listener.get(), reinterpret_cast<sockaddr*>(&address), octets), 0);
  EXPECT_EQ(listen(listener.get(), 1), 0);
  EXPECT_EQ(getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &octets), 0);
  EXPECT_EQ(connect(client.get(), reinterpret_cast<sockaddr*>(&address), octets), 0);
  return {std::move(client), UniqueFd(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC))};
}

// A relay in a thread between a TLS client and a plain socket, both the test's.
class RelayTest : public testing::Test {
 protected:
  void Start(RelayOptions options, int socket_octets = 0, bool tcp = false) {
    const Credentials credentials;
    context_ = Context(credentials);
    auto tls = tcp ? absl::StatusOr<std::pair<UniqueFd, UniqueFd>>(TcpPair()) : ipc::SocketPair(SOCK_STREAM),
         plain = ipc::SocketPair(SOCK_STREAM), control = ipc::SocketPair(SOCK_SEQPACKET);
    client_ = std::move(tls->first);
    plain_ = std::move(plain->first);
    control_ = std::move(control->first);
    for (int fd : {client_.get(), plain_.get(), tls->second.get(), plain->second.get()})
      if (socket_octets != 0) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &socket_octets, sizeof socket_octets);
    relay_ = std::thread([this, options, socket = std::move(tls->second), inner = std::move(plain->second),
                          control_end = std::move(control->second)] {
      auto ssl = NewSession(context_.get(), socket.get());
      handshake_ = Handshake(ssl->get(), socket.get(), control_end.get(), Deadline::In(absl::Seconds(20)));
      if (handshake_.ok()) outcome_ = Relay(ssl->get(), socket.get(), inner.get(), control_end.get(), options);
    });
    client_context_.reset(SSL_CTX_new(TLS_client_method()));
    ssl_.reset(SSL_new(client_context_.get()));
    SSL_set_fd(ssl_.get(), client_.get());
  }
  void TearDown() override {
    ssl_.reset();
    client_.Reset();
    plain_.Reset();
    control_.Reset();
    if (relay_.joinable()) relay_.join();
  }
  // Until the end of file.
  std::string ReadPlain() {
    std::string all;
    char buffer[65536];
    for (ssize_t octets; (octets = read(plain_.get(), buffer, sizeof buffer)) > 0;) all.append(buffer, octets);
    return all;
  }
  std::string ReadClient() {
    std::string all;
    char buffer[65536];
    for (int octets; (octets = SSL_read(ssl_.get(), buffer, sizeof buffer)) > 0;) all.append(buffer, octets);
    return all;
  }

  ContextPtr context_, client_context_;
  SslPtr ssl_;
  UniqueFd client_, plain_, control_;
  std::thread relay_;
  absl::Status handshake_;
  Outcome outcome_ = {};
};

TEST_F(RelayTest, MovesBothWaysAtOnceWhateverTheBufferSizes) {
  for (int socket_octets : {0, 1, 65536}) {
    SCOPED_TRACE(socket_octets);
    Start({}, socket_octets);
    ASSERT_EQ(SSL_connect(ssl_.get()), 1);
    std::string up(3 << 20, 'u'), down(3 << 20, 'd');
    for (size_t i = 0; i < up.size(); i += 997) up[i] = static_cast<char>(i), down[i] = static_cast<char>(i / 7);
    // Both sides write all before they read anything: only a relay that never waits for one side alone gets through.
    std::string up_seen, down_seen;
    std::thread backend([&] {
      std::thread writer([&] {
        EXPECT_EQ(send(plain_.get(), down.data(), down.size(), MSG_NOSIGNAL), ssize_t(down.size()));
        shutdown(plain_.get(), SHUT_WR);
      });
      while (up_seen.size() < up.size()) {
        char buffer[10000];
        const ssize_t octets = read(plain_.get(), buffer, sizeof buffer);
        if (octets <= 0) break;
        up_seen.append(buffer, octets);
      }
      writer.join();
    });
    // One thread may use an SSL: so the client alternates between a piece out and what there is to read.
    SSL_set_mode(ssl_.get(), SSL_MODE_ENABLE_PARTIAL_WRITE);
    size_t sent = 0;
    while (sent < up.size() || down_seen.size() < down.size()) {
      if (sent < up.size()) {
        const int octets =
            SSL_write(ssl_.get(), up.data() + sent, static_cast<int>(std::min<size_t>(up.size() - sent, 9000)));
        ASSERT_GT(octets, 0);
        sent += static_cast<size_t>(octets);
      }
      if (down_seen.size() < down.size()) {
        char buffer[9000];
        const int octets = SSL_read(ssl_.get(), buffer, sizeof buffer);
        if (octets <= 0) break;
        down_seen.append(buffer, octets);
      }
    }
    EXPECT_TRUE(down_seen == down);
    backend.join();
    EXPECT_TRUE(up_seen == up);
    TearDown();
    EXPECT_EQ(outcome_.from_client, up.size());
    EXPECT_EQ(outcome_.to_client, down.size());
  }
}

// One command, one reply, of the sizes at which a record more begins, and in pieces so small that they are gathered. A
// reply whose last octets wait for a timer of the kernel's (200 ms), or in a buffer for the client's next word, would
// make most of them late.
TEST_F(RelayTest, NoReplyWaitsForWhatIsNext) {
  Start({.whole_lines = true}, 0, true);
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  int slow = 0;  // a busy machine makes some so
  for (size_t octets : {1, 1023, 16383, 16384, 16385, 17000, 32768, 32769, 65535, 65536, 65537, 131073, 300001}) {
    for (size_t piece : {octets, size_t{1024}, size_t{4096}}) {
      SCOPED_TRACE(octets);
      ASSERT_EQ(SSL_write(ssl_.get(), "RETR 1\r\n", 8), 8);
      char command[8];
      ASSERT_EQ(recv(plain_.get(), command, 8, MSG_WAITALL), 8);
      const std::string reply(octets, 'x');
      std::thread backend([&] {
        for (size_t sent = 0; sent < octets; sent += std::min(piece, octets - sent)) {
          const size_t part = std::min(piece, octets - sent);
          EXPECT_EQ(send(plain_.get(), reply.data(), part, MSG_NOSIGNAL), ssize_t(part));
        }
      });
      const absl::Duration asked = Deadline::Now();
      size_t seen = 0;
      char buffer[65536];
      for (int taken = 1; seen < octets && taken > 0; seen += static_cast<size_t>(std::max(taken, 0)))
        taken = SSL_read(ssl_.get(), buffer, sizeof buffer);
      backend.join();
      ASSERT_EQ(seen, octets);
      slow += Deadline::Now() - asked > absl::Milliseconds(150);
    }
  }
  EXPECT_LT(slow, 10);
}

TEST_F(RelayTest, CloseNotifyIsEndOfFileAndTheAnswerStillComes) {
  Start({.whole_lines = true});
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  ASSERT_EQ(SSL_write(ssl_.get(), "QUIT\r\nrest", 10), 10);
  SSL_shutdown(ssl_.get());
  EXPECT_EQ(ReadPlain(), "QUIT\r\nrest");
  ASSERT_EQ(write(plain_.get(), "+OK bye\r\n", 9), 9);
  plain_.Reset();
  EXPECT_EQ(ReadClient(), "+OK bye\r\n");
  EXPECT_EQ(SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
  TearDown();
  EXPECT_EQ(outcome_.why, Why::kClientClosed);
}

TEST_F(RelayTest, ALostConnectionDropsTheBegunLine) {
  Start({.whole_lines = true});
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  ASSERT_EQ(SSL_write(ssl_.get(), "DELE 1\r\nQUIT", 12), 12);
  shutdown(client_.get(), SHUT_WR);
  EXPECT_EQ(ReadPlain(), "DELE 1\r\n");
  TearDown();
  EXPECT_EQ(outcome_.why, Why::kClientLost);
}

TEST_F(RelayTest, TheBackendsEndIsDrainedThenCloseNotify) {
  Start({});
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  const std::string last(200000, 'x');
  std::thread backend([&] {
    EXPECT_EQ(write(plain_.get(), last.data(), last.size()), ssize_t(last.size()));
    plain_.Reset();
  });
  EXPECT_EQ(ReadClient().size(), last.size());
  EXPECT_EQ(SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
  backend.join();
  TearDown();
  EXPECT_EQ(outcome_.why, Why::kBackendClosed);
}

TEST_F(RelayTest, ABackendThatHasClosedItsHalfStillReads) {
  Start({});
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  ASSERT_EQ(write(plain_.get(), "last", 4), 4);
  ASSERT_EQ(shutdown(plain_.get(), SHUT_WR), 0);
  EXPECT_EQ(ReadClient(), "last");
  ASSERT_EQ(SSL_write(ssl_.get(), "more", 4), 4);
  char octets[4];
  EXPECT_EQ(read(plain_.get(), octets, 4), 4);
  plain_.Reset();
  relay_.join();
  EXPECT_EQ(outcome_.why, Why::kBackendClosed);
}

TEST_F(RelayTest, AnIdleSessionEnds) {
  Start({.idle = absl::Milliseconds(50)});
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  EXPECT_EQ(ReadClient(), "");
  EXPECT_EQ(SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
  TearDown();
  EXPECT_EQ(outcome_.why, Why::kIdle);
}

TEST_F(RelayTest, EndsWithTheSupervisor) {
  Start({});
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  ASSERT_EQ(SSL_write(ssl_.get(), "x", 1), 1);
  char octet;
  ASSERT_EQ(read(plain_.get(), &octet, 1), 1);  // the handshake is over on the other side too
  control_.Reset();
  relay_.join();
  EXPECT_EQ(outcome_.why, Why::kShutdown);
}

// Records that carry nothing for the backend, more of them than the client takes a moment to send: OpenSSL goes on to
// the next by itself, and must not do so past the end of the session.
TEST_F(RelayTest, AFloodOfKeyUpdatesDoesNotHoldOffTheEnd) {
  Start({});
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  ASSERT_EQ(SSL_write(ssl_.get(), "x", 1), 1);
  char octet;
  ASSERT_EQ(read(plain_.get(), &octet, 1), 1);
  BIO* const records = BIO_new(BIO_s_mem());
  SSL_set0_wbio(ssl_.get(), records);
  for (int i = 0; i < 60000; ++i) {
    ASSERT_EQ(SSL_key_update(ssl_.get(), SSL_KEY_UPDATE_NOT_REQUESTED), 1);  // RFC 8446 §4.6.3
    ASSERT_EQ(SSL_do_handshake(ssl_.get()), 1);
  }
  char* data;
  const size_t octets = static_cast<size_t>(BIO_get_mem_data(records, &data));
  std::atomic<size_t> sent = 0;
  std::thread flood([&] {
    constexpr size_t kPart = 27 * 100;
    while (sent < octets && send(client_.get(), data + sent, std::min(kPart, octets - sent), MSG_NOSIGNAL) > 0)
      sent += std::min(kPart, octets - sent);
  });
  while (sent < octets / 8) std::this_thread::yield();
  control_.Reset();
  relay_.join();
  flood.join();
  EXPECT_EQ(outcome_.why, Why::kShutdown);
  EXPECT_LT(sent, octets / 2);
}

TEST_F(RelayTest, TakesNoOldVersion) {
  Start({});
  SSL_set_max_proto_version(ssl_.get(), TLS1_1_VERSION);
  SSL_set_security_level(ssl_.get(), 0);
  EXPECT_NE(SSL_connect(ssl_.get()), 1);
  client_.Reset();
  relay_.join();
  EXPECT_TRUE(absl::IsInvalidArgument(handshake_)) << handshake_;
}

TEST_F(RelayTest, AlpnOfAnotherProtocolIsRefused) {
  const struct {
    const char* wire;
    unsigned octets;
    bool served;
  } kRows[] = {{"\4pop3", 5, true}, {"\2h2\4pop3", 8, true}, {"\2h2\10http/1.1", 12, false}};
  for (const auto& row : kRows) {
    SCOPED_TRACE(row.wire);
    Start({});
    SSL_set_alpn_protos(ssl_.get(), reinterpret_cast<const unsigned char*>(row.wire), row.octets);
    EXPECT_EQ(SSL_connect(ssl_.get()) == 1, row.served);
    const unsigned char* selected;
    unsigned octets;
    SSL_get0_alpn_selected(ssl_.get(), &selected, &octets);
    EXPECT_EQ(octets, row.served ? 4u : 0u);
    TearDown();
  }
}

// What was said before the question comes first, then what the answer adds, then what is said afterwards; and what the
// backend says meanwhile is left to whoever asked.
TEST_F(RelayTest, StandsStillForWhoeverAsks) {
  auto ask = ipc::SocketPair(SOCK_STREAM);
  auto standing = ipc::SocketPair(SOCK_STREAM);
  const int asked = ask->second.get(), said = standing->second.get();
  RelayOptions options;
  options.asked = asked;
  options.on_asked = [asked, said](std::string* text) {
    char octet;
    if (read(asked, &octet, 1) != 1) return Answer::kNobody;
    EXPECT_EQ(write(said, "!", 1), 1);     // it stands
    EXPECT_EQ(read(asked, &octet, 1), 1);  // it may go on
    text->append("answer\n");
    return octet == 'e' ? Answer::kEnd : Answer::kGoOn;
  };
  Start(options);
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  char octet;
  for (const char* then : {"g", "e"}) {
    ASSERT_EQ(write(plain_.get(), "before\n", 7), 7);
    ASSERT_EQ(write(ask->first.get(), "?", 1), 1);
    ASSERT_EQ(read(standing->first.get(), &octet, 1), 1);
    ASSERT_EQ(write(plain_.get(), "after\n", 6), 6);
    ASSERT_EQ(write(ask->first.get(), then, 1), 1);
  }
  EXPECT_EQ(ReadClient(), "before\nanswer\nafter\nbefore\nanswer\n");
  EXPECT_EQ(SSL_get_shutdown(ssl_.get()) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
  client_.Reset();
  relay_.join();
  EXPECT_EQ(outcome_.why, Why::kBackendClosed);
}

// A question that has to wait for a client that does not read, or whose asker has gone meanwhile, keeps nobody awake.
TEST_F(RelayTest, RestsWhileAQuestionWaits) {
  auto ask = ipc::SocketPair(SOCK_STREAM);
  RelayOptions options;
  options.asked = ask->second.get();
  options.on_asked = [](std::string* text) {
    text->append("answer\n");
    return Answer::kNobody;
  };
  Start(options, 1);
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  clockid_t relays_clock;
  ASSERT_EQ(pthread_getcpuclockid(relay_.native_handle(), &relays_clock), 0);
  const auto used = [&] {
    timespec now;
    EXPECT_EQ(clock_gettime(relays_clock, &now), 0);
    return absl::DurationFromTimespec(now);
  };
  const std::string much(1 << 20, 'x');
  size_t sent = 0;
  pollfd full = {plain_.get(), POLLOUT, 0};
  while (poll(&full, 1, 50) == 1) {
    const ssize_t octets = send(plain_.get(), much.data(), much.size(), MSG_DONTWAIT);
    sent += static_cast<size_t>(std::max<ssize_t>(octets, 0));
  }
  for (bool gone : {false, true}) {
    if (gone)
      ask->first.Reset();
    else
      ASSERT_EQ(write(ask->first.get(), "?", 1), 1);
    const absl::Duration before = used();
    poll(nullptr, 0, 300);
    EXPECT_LT(used() - before, absl::Milliseconds(100)) << gone;
  }
  const std::string answer = "answer\n", last = "last\n";
  std::string seen(sent + answer.size(), '\0');
  for (size_t taken = 0; taken < seen.size();) {
    const int octets = SSL_read(ssl_.get(), seen.data() + taken, static_cast<int>(seen.size() - taken));
    ASSERT_GT(octets, 0);
    taken += static_cast<size_t>(octets);
  }
  EXPECT_EQ(seen.substr(sent), answer);
  ASSERT_EQ(write(plain_.get(), last.data(), last.size()), ssize_t(last.size()));
  plain_.Reset();
  EXPECT_EQ(ReadClient(), last);
}

TEST_F(RelayTest, GoesOnWhenNobodyCanAskAnyMore) {
  auto ask = ipc::SocketPair(SOCK_STREAM);
  RelayOptions options;
  options.asked = ask->second.get();
  int calls = 0;
  options.on_asked = [&calls](std::string*) {
    ++calls;
    return Answer::kNobody;
  };
  Start(options);
  ASSERT_EQ(SSL_connect(ssl_.get()), 1);
  ask->first.Reset();
  ASSERT_EQ(write(plain_.get(), "line\n", 5), 5);
  plain_.Reset();
  EXPECT_EQ(ReadClient(), "line\n");
  client_.Reset();
  relay_.join();
  EXPECT_LE(calls, 1);
}

}  // namespace
}  // namespace postern::tlsworker
