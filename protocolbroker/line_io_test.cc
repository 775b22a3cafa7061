#include "protocolbroker/line_io.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <vector>

#include "ipc/channel.h"

namespace postern::protocolbroker {
namespace {

using base::Deadline;
using base::UniqueFd;

class LineIoTest : public testing::Test {
 protected:
  LineIoTest() {
    auto stream = ipc::SocketPair(SOCK_STREAM);
    client_ = std::move(stream->first);
    ours_ = std::move(stream->second);
    auto control = ipc::SocketPair(SOCK_SEQPACKET);
    supervisor_ = std::move(control->first);
    control_ = std::move(control->second);
  }
  void Send(absl::string_view text) { ASSERT_EQ(write(client_.get(), text.data(), text.size()), ssize_t(text.size())); }
  absl::StatusOr<Line> Read(size_t octets_max = 16) {
    return ReadLine(ours_.get(), octets_max, control_.get(), Deadline::In(absl::Seconds(10)));
  }
  std::string Left() {
    char buffer[4096];
    const ssize_t octets = recv(ours_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    return std::string(buffer, octets > 0 ? octets : 0);
  }
  UniqueFd client_, ours_, supervisor_, control_;
};

TEST_F(LineIoTest, TakesALineAndNothingBehindIt) {
  const struct {
    absl::string_view sent, text, left;
    Ending ending;
  } kRows[] = {
      {"STLS\r\nCAPA\r\n", "STLS", "CAPA\r\n", Ending::kCrLf},
      {"STLS\r\n", "STLS", "", Ending::kCrLf},
      {"\r\nx", "", "x", Ending::kCrLf},
      {"STLS\nCAPA\r\n", "STLS", "CAPA\r\n", Ending::kBareLf},
      {"\n", "", "", Ending::kBareLf},
      {"A\rB\r\n", "A\rB", "", Ending::kCrLf},
      {"A\r\r\n", "A\r", "", Ending::kCrLf},
      {absl::string_view("A\0B\r\n", 5), absl::string_view("A\0B", 3), "", Ending::kCrLf},
      {"0123456789abcd\r\n", "0123456789abcd", "", Ending::kCrLf},  // 16 octets with its end
      {"0123456789abcde\r\nQUIT\r\n", "0123456789abcde\r", "\nQUIT\r\n", Ending::kTooLong},
      {"0123456789abcdefg", "0123456789abcdef", "g", Ending::kTooLong},
  };
  for (const auto& row : kRows) {
    SCOPED_TRACE(std::string(row.sent));
    Send(row.sent);
    const auto line = Read();
    ASSERT_TRUE(line.ok()) << line.status();
    EXPECT_EQ(line->text, row.text);
    EXPECT_EQ(line->ending, row.ending);
    EXPECT_EQ(MoreBuffered(ours_.get()), !row.left.empty());
    EXPECT_EQ(Left(), row.left);
  }
}

TEST_F(LineIoTest, PutsALineTogetherFromAnySegments) {
  const std::string whole = "USER demo\r\nPASS x\r\n";
  for (size_t split = 1; split < whole.size(); ++split) {
    SCOPED_TRACE(split);
    Send(whole.substr(0, split));
    auto first = split >= 11 ? Read() : absl::StatusOr<Line>(absl::UnavailableError(""));
    if (!first.ok()) {
      // A part of the line is on the stream; the rest comes while ReadLine waits for it.
      pid_t child = fork();
      if (child == 0) _exit(write(client_.get(), whole.data() + split, whole.size() - split) < 0);
      first = Read();
    } else {
      Send(whole.substr(split));
    }
    ASSERT_TRUE(first.ok()) << first.status();
    EXPECT_EQ(first->text, "USER demo");
    const auto second = Read();
    ASSERT_TRUE(second.ok());
    EXPECT_EQ(second->text, "PASS x");
    EXPECT_EQ(Left(), "");
  }
}

TEST_F(LineIoTest, SaysHowItEnded) {
  Send("USER de");
  ASSERT_EQ(shutdown(client_.get(), SHUT_WR), 0);
  EXPECT_EQ(Read().status().code(), absl::StatusCode::kOutOfRange);  // a begun line is no line
}

TEST_F(LineIoTest, KeepsTheDeadline) {
  Send("USER de");
  const auto line = ReadLine(ours_.get(), 16, control_.get(), Deadline::In(absl::Milliseconds(20)));
  EXPECT_EQ(line.status().code(), absl::StatusCode::kDeadlineExceeded);
}

TEST_F(LineIoTest, EndsWithTheSupervisor) {
  supervisor_.Reset();
  EXPECT_EQ(Read().status().code(), absl::StatusCode::kCancelled);
}

// Of a stream of whose other end we have a copy.
TEST_F(LineIoTest, EndsWithItsPartner) {
  auto line = ipc::SocketPair(SOCK_SEQPACKET);
  const int partner = line->second.get(), stream = ours_.get(), control = control_.get();
  const Deadline deadline = Deadline::In(absl::Seconds(10));
  Send("a\r\nb");
  EXPECT_EQ(ReadLine(stream, 16, control, deadline, partner)->text, "a");
  line->first.Reset();
  EXPECT_TRUE(absl::IsOutOfRange(ReadLine(stream, 16, control, deadline, partner).status()));
  EXPECT_TRUE(absl::IsOutOfRange(ReadOctets(stream, 16, control, deadline, partner).status()));
  EXPECT_TRUE(absl::IsOutOfRange(Drop(stream, 16, control, deadline, partner)));
  EXPECT_TRUE(absl::IsOutOfRange(WriteAll(stream, std::string(4 << 20, 'x'), control, deadline, partner)));
}

TEST_F(LineIoTest, WritesUntilTheDeadlineToAPeerThatDoesNotRead) {
  const std::string much(4 << 20, 'x');
  EXPECT_EQ(WriteAll(ours_.get(), much, control_.get(), Deadline::In(absl::Milliseconds(20))).code(),
            absl::StatusCode::kDeadlineExceeded);
  client_.Reset();
  EXPECT_EQ(WriteAll(ours_.get(), "x", control_.get(), Deadline::In(absl::Seconds(1))).code(),
            absl::StatusCode::kUnavailable);
}

TEST_F(LineIoTest, AShortPasswordIsMovedWithoutACopyToo) {
  const auto moves_without_a_copy = [](const std::string& text) { return text.capacity() > std::string().capacity(); };
  Send("passwordx\r\n");
  const auto literal = ReadOctets(ours_.get(), 8, control_.get(), Deadline::In(absl::Seconds(10)));
  ASSERT_TRUE(literal.ok());
  EXPECT_TRUE(moves_without_a_copy(*literal));
  const auto line = ReadLine(ours_.get(), 8, control_.get(), Deadline::In(absl::Seconds(10)));
  ASSERT_TRUE(line.ok());
  EXPECT_TRUE(moves_without_a_copy(line->text));
}

TEST_F(LineIoTest, TakesALiteralAndNothingBehindIt) {
  const auto read = [this](size_t octets, absl::Duration time = absl::Seconds(10)) {
    return ReadOctets(ours_.get(), octets, control_.get(), Deadline::In(time));
  };
  Send(absl::string_view("a\r\nb\0c)\r\n", 9));
  EXPECT_EQ(*read(6), std::string("a\r\nb\0c", 6));
  EXPECT_EQ(*read(0), "");
  EXPECT_EQ(Left(), ")\r\n");
  const std::string large(5000, 'x');
  Send(large + "y");
  EXPECT_EQ(*read(large.size()), large);
  Send(large);
  EXPECT_TRUE(Drop(ours_.get(), large.size(), control_.get(), Deadline::In(absl::Seconds(10))).ok());
  EXPECT_EQ(Left(), "x");  // the y has been dropped with the rest
  Send("ab");
  EXPECT_TRUE(absl::IsDeadlineExceeded(read(3, absl::Milliseconds(10)).status()));
  Send("c");
  client_.Reset();
  EXPECT_TRUE(absl::IsOutOfRange(read(2).status()));
}

}  // namespace
}  // namespace postern::protocolbroker
