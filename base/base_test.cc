#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/process.h"
#include "base/unique_fd.h"

namespace postern::base {
namespace {

bool IsOpen(int fd) { return fcntl(fd, F_GETFD) != -1; }

TEST(UniqueFdTest, ClosesWhatItOwnsAndNothingElse) {
  const int first = open("/dev/null", O_RDONLY | O_CLOEXEC);
  const int second = open("/dev/null", O_RDONLY | O_CLOEXEC);
  {
    UniqueFd owner(first);
    UniqueFd next = std::move(owner);
    EXPECT_FALSE(owner.valid());  // NOLINT: a moved-from UniqueFd is specified to be empty
    EXPECT_TRUE(IsOpen(first));
    next = UniqueFd(second);
    EXPECT_FALSE(IsOpen(first));
    EXPECT_EQ(next.Release(), second);
  }
  EXPECT_TRUE(IsOpen(second));
  close(second);
}

TEST(LogTest, QuotesWhatIsNotPlain) {
  const struct {
    absl::string_view value, shown;
  } kRows[] = {
      {"TLSv1.3", "TLSv1.3"},
      {"[::1]:25", "\"[::1]:25\""},
      {"", "\"\""},
      {"a b", "\"a b\""},
      {"a\nrole=x", "\"a\\x0arole=x\""},
      {"\x1b[2J\xff", "\"\\x1b[2J\\xff\""},
      {"a\"b\\", "\"a\\x22b\\x5c\""},
  };
  for (const auto& row : kRows) EXPECT_EQ(QuoteLogValue(row.value), row.shown);
  EXPECT_EQ(QuoteLogValue(std::string(65, 'a')), "\"" + std::string(64, 'a') + "\"~");
}

// The next record on the socket, without its stamp.
std::string NextRecord(int socket) {
  char record[2 * kLogRecordOctetsMax];
  const ssize_t octets = recv(socket, record, sizeof record, MSG_DONTWAIT);
  absl::string_view text(record, octets > 0 ? static_cast<size_t>(octets) : 0);
  EXPECT_LE(text.size(), kLogRecordOctetsMax);
  EXPECT_NE(ParseLogStamp(&text), 0u);
  return std::string(text);
}

TEST(LogTest, StampsAreTakenOffOrLeftAlone) {
  const struct {
    absl::string_view record;
    uint64_t stamp;
    absl::string_view rest;
  } kRows[] = {
      {"00000000000000ff ev=x", 255, "ev=x"},
      {"00000000000000fg ev=x", 0, "00000000000000fg ev=x"},
      {"00000000000000ff", 0, "00000000000000ff"},
      {"", 0, ""},
  };
  for (const auto& row : kRows) {
    absl::string_view record = row.record;
    EXPECT_EQ(ParseLogStamp(&record), row.stamp);
    EXPECT_EQ(record, row.rest);
  }
}

TEST(LogTest, WritesOneRecordPerEvent) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd reader(ends[0]), writer(ends[1]);
  SetLogSocket(UniqueFd(dup(writer.get())));
  Event("login", 0x7f3a).Add("user", "de mo").Add("ms", 14);
  Event("long").AddText("text", std::string(5000, 'x'));
  SetLogSocket(UniqueFd());
  EXPECT_EQ(NextRecord(reader.get()), "session=00007f3a ev=login user=\"de mo\" ms=14");
  EXPECT_EQ(NextRecord(reader.get()).substr(0, 8), "ev=long ");
}

TEST(LogTest, SaysHowManyRecordsWereLost) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd reader(ends[0]), writer(ends[1]);
  const timeval kLimit = {0, 1000};
  ASSERT_EQ(setsockopt(writer.get(), SOL_SOCKET, SO_SNDTIMEO, &kLimit, sizeof kLimit), 0);
  char record[kLogRecordOctetsMax];
  while (send(writer.get(), "x", 1, MSG_DONTWAIT) == 1) {
  }
  SetLogSocket(UniqueFd(dup(writer.get())));
  Event("lost");
  Event("lost");
  while (recv(reader.get(), record, sizeof record, MSG_DONTWAIT) > 0) {
  }
  Event("next");
  SetLogSocket(UniqueFd());
  EXPECT_EQ(NextRecord(reader.get()), "ev=next dropped=2");
}

TEST(InheritedFdsTest, ASurplusDescriptorIsAnError) {
  // The test runner may hold descriptors of its own, so the child starts from a clean table.
  EXPECT_EXIT(
      {
        close_range(3, ~0U, 0);
        dup2(0, 3);
        dup2(0, 4);
        auto fds = InheritedFds::Adopt({"log", "client"});
        if (!fds.ok() || !fds->Take("client").valid() || fds->Finished().ok()) _exit(1);
        if (!fds->Take("log").valid() || fds->Take("log").valid() || !fds->Finished().ok()) _exit(2);
        dup2(0, 3);
        dup2(0, 9);
        if (InheritedFds::Adopt({"log"}).ok()) _exit(3);
        if (InheritedFds::Adopt({"log", "missing"}).ok()) _exit(4);
        _exit(0);
      },
      testing::ExitedWithCode(0), "");
}

TEST(FinishTest, GivesTheExitCodes) {
  EXPECT_EQ(Finish(absl::OkStatus()), 0);
  EXPECT_EQ(Finish(absl::InvalidArgumentError("x")), kExitConfiguration);
  EXPECT_EQ(Finish(absl::FailedPreconditionError("x")), kExitConfiguration);
  EXPECT_EQ(Finish(absl::UnavailableError("x")), kExitTemporary);
}

}  // namespace
}  // namespace postern::base
