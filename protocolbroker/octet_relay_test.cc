#include "protocolbroker/octet_relay.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <thread>

#include "absl/time/clock.h"
#include "base/unique_fd.h"
#include "ipc/channel.h"

namespace postern::protocolbroker {
namespace {

using base::Deadline;
using base::UniqueFd;

class Seen final : public Watcher {
 public:
  explicit Seen(bool logged_in) : logged_in_(logged_in) {}
  void OnClient(absl::string_view octets) override { client.append(octets.data(), octets.size()); }
  void OnBackend(absl::string_view octets) override { backend.append(octets.data(), octets.size()); }
  bool logged_in() const override { return logged_in_; }

  std::string client, backend;

 private:
  const bool logged_in_;
};

class OctetRelayTest : public testing::Test {
 protected:
  OctetRelayTest() {
    for (auto& [outer, inner] : {std::pair(&client_, &client_inner_), {&backend_, &backend_inner_}}) {
      auto pair = ipc::SocketPair(SOCK_STREAM);
      *outer = std::move(pair->first);
      *inner = std::move(pair->second);
    }
    auto control = ipc::SocketPair(SOCK_SEQPACKET);
    supervisor_ = std::move(control->first);
    control_ = std::move(control->second);
  }
  absl::Status Relay(Seen& seen, absl::Duration login = absl::Seconds(20), absl::Duration idle = absl::Seconds(20)) {
    const absl::Status status =
        RelayOctets(client_inner_.get(), backend_inner_.get(), control_.get(), seen, Deadline::In(login), idle);
    client_inner_.Reset();  // as at the end of a worker
    backend_inner_.Reset();
    return status;
  }
  static std::string ReadAll(const UniqueFd& fd) {
    std::string all;
    char buffer[65536];
    for (ssize_t octets; (octets = read(fd.get(), buffer, sizeof buffer)) > 0;) all.append(buffer, octets);
    return all;
  }

  UniqueFd client_, client_inner_, backend_, backend_inner_, supervisor_, control_;
};

// Both sides write all before they read anything: only a relay that never waits for one side alone gets through.
TEST_F(OctetRelayTest, MovesBothWaysAtOnce) {
  std::string up(3 << 20, 'u'), down(3 << 20, 'd');
  for (size_t i = 0; i < up.size(); i += 997) up[i] = static_cast<char>(i), down[i] = static_cast<char>(i / 7);
  std::string got_up, got_down;
  const auto side = [](const UniqueFd& fd, const std::string& text, std::string* got) {
    std::thread reader([&] {
      char buffer[65536];
      while (got->size() < text.size()) got->append(buffer, read(fd.get(), buffer, sizeof buffer));
    });
    EXPECT_EQ(send(fd.get(), text.data(), text.size(), MSG_NOSIGNAL), ssize_t(text.size()));
    reader.join();
  };
  std::thread client([&] { side(client_, up, &got_down); });
  std::thread backend([&] {
    side(backend_, down, &got_up);
    backend_.Reset();
  });
  Seen seen(true);
  EXPECT_TRUE(Relay(seen).ok());
  client.join();
  backend.join();
  EXPECT_EQ(got_up, up);
  EXPECT_EQ(got_down, down);
  EXPECT_EQ(seen.client, up);
  EXPECT_EQ(seen.backend, down);
}

TEST_F(OctetRelayTest, PassesOnWhatABackendLeaves) {
  ASSERT_EQ(write(backend_.get(), "* BYE\r\n", 7), 7);
  ASSERT_EQ(write(client_.get(), "a NOOP\r\n", 8), 8);  // which nobody will read
  backend_.Reset();
  Seen seen(false);
  EXPECT_TRUE(Relay(seen).ok());
  EXPECT_EQ(ReadAll(client_), "* BYE\r\n");
}

TEST_F(OctetRelayTest, PassesOnWhatAClientLeaves) {
  ASSERT_EQ(write(client_.get(), "a LOGOUT\r\n", 10), 10);
  client_.Reset();
  Seen seen(false);
  EXPECT_TRUE(absl::IsOutOfRange(Relay(seen)));
  EXPECT_EQ(ReadAll(backend_), "a LOGOUT\r\n");
}

TEST_F(OctetRelayTest, AClientThatClosedItsSideHearsTheAnswers) {
  ASSERT_EQ(write(client_.get(), "a LOGOUT\r\n", 10), 10);
  ASSERT_EQ(shutdown(client_.get(), SHUT_WR), 0);
  std::thread backend([&] {
    char buffer[10];
    EXPECT_EQ(recv(backend_.get(), buffer, sizeof buffer, MSG_WAITALL), 10);
    EXPECT_EQ(write(backend_.get(), "* BYE\r\n", 7), 7);
    backend_.Reset();
  });
  Seen seen(true);
  EXPECT_TRUE(Relay(seen).ok());
  backend.join();
  EXPECT_EQ(ReadAll(client_), "* BYE\r\n");
}

TEST_F(OctetRelayTest, AClientThatIsResetIsWaitedForNoLonger) {
  ASSERT_EQ(write(client_inner_.get(), "* 1 EXISTS\r\n", 12), 12);  // unread, which makes the end a reset: unix(7)
  client_.Reset();
  const absl::Time before = absl::Now();
  Seen seen(true);
  EXPECT_TRUE(absl::IsOutOfRange(Relay(seen)));
  EXPECT_LT(absl::Now() - before, absl::Seconds(1));
}

TEST_F(OctetRelayTest, HasADeadlineForTheLoginAndAnIdleLimit) {
  Seen waiting(false);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Relay(waiting, absl::Milliseconds(20))));
  EXPECT_EQ(ReadAll(client_) + ReadAll(backend_), "");
}

TEST_F(OctetRelayTest, IsIdleForSoLong) {
  Seen logged_in(true);
  EXPECT_TRUE(absl::IsDeadlineExceeded(Relay(logged_in, absl::ZeroDuration(), absl::Milliseconds(20))));
}

TEST_F(OctetRelayTest, EndsWithTheSupervisor) {
  supervisor_.Reset();
  Seen seen(true);
  EXPECT_TRUE(absl::IsCancelled(Relay(seen)));
}

}  // namespace
}  // namespace postern::protocolbroker
