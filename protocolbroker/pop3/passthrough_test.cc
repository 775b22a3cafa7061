#include "protocolbroker/pop3/passthrough.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern::protocolbroker::pop3 {
namespace {

constexpr char kCapabilities[] = "TOP\r\nUIDL\r\n.\r\n";

// A command, what the backend says to it (nothing: it is not asked), and what is known then.
struct Row {
  const char* line;
  const char* reply;
  const char* answer;  // ours
  bool logged_in, sasl;
};

void Follow(const std::vector<Row>& rows) {
  for (size_t piece : {1, 2, 3, 1000}) {
    Passthrough passthrough(kCapabilities);
    for (const Row& row : rows) {
      SCOPED_TRACE(row.line);
      EXPECT_EQ(passthrough.OnLine(row.line), row.answer);
      const absl::string_view reply = row.reply;
      for (size_t at = 0; at < reply.size(); at += piece)
        EXPECT_EQ(passthrough.OnReply(reply.substr(at, piece)), at + piece >= reply.size()) << at;
      EXPECT_EQ(passthrough.logged_in(), row.logged_in);
      EXPECT_EQ(passthrough.line_octets_max() > 255, row.sasl);
    }
  }
}

constexpr char kCapaAnswer[] = "+OK capabilities follow\r\nTOP\r\nUIDL\r\n.\r\n";
constexpr char kStlsAnswer[] = "-ERR STLS comes before the login\r\n";

TEST(PassthroughTest, ASession) {
  Follow({
      {"CAPA", "", kCapaAnswer, false, false},
      {"STLS", "", kStlsAnswer, false, false},
      {"USER x", "+OK\r\n", "", false, false},
      {"PASS x", "-ERR no\r\n", "", false, false},
      {"pass x", "+OK \r\n", "", true, false},
      {"STAT", "+OK 1 2\r\n", "", true, false},
      {"LIST", "+OK\r\n1 2\r\n.\r\n", "", true, false},
      {"LIST 1", "+OK 1 2\r\n", "", true, false},
      {"LIST ", "+OK\r\n.\r\n", "", true, false},
      {"LIST  ", "+OK\r\n1 2\r\n.\r\n", "", true, false},
      {" STLS", "", "-ERR unknown command\r\n", true, false},
      {"", "", "-ERR unknown command\r\n", true, false},
      {"CAPA\t", "", "-ERR control character in the line\r\n", true, false},
      {"AUTH", "", "-ERR AUTH needs a mechanism\r\n", true, false},
      {"auth ", "", "-ERR AUTH needs a mechanism\r\n", true, false},
      {"UIDL", "+OK\n1 x\n.\n", "", true, false},
      {"RETR 1", "+OK\r\n..\r\n.x\r\n\r\n.\r\n", "", true, false},
      {"RETR 9", "-ERR\r\n", "", true, false},
      {"TOP 1 0", "+OK\r\nSubject: .\r\n\r\n.\r\n", "", true, false},
      {"capa", "", kCapaAnswer, true, false},
      {"stls", "", kStlsAnswer, true, false},
      {"QUIT", "+OK bye\r\n", "", true, false},
  });
}

TEST(PassthroughTest, ABackendMayAnswerCapaItself) {
  Passthrough passthrough("");
  EXPECT_EQ(passthrough.OnLine("CAPA"), "");
  EXPECT_FALSE(passthrough.OnReply("+OK\r\nTOP\r\n"));
  EXPECT_TRUE(passthrough.OnReply(".\r\n"));
}

TEST(PassthroughTest, WhatIsSaidUnaskedChangesNothing) {
  Passthrough passthrough(kCapabilities);
  EXPECT_TRUE(passthrough.OnReply("+OK 1\r\n+OK 2\r\n"));
  EXPECT_FALSE(passthrough.logged_in());
  passthrough.OnLine("LIST");
  EXPECT_TRUE(passthrough.OnReply("+OK\r\n.\r\n-ERR time is over\r\nx"));
  EXPECT_TRUE(passthrough.OnReply("more"));
  passthrough.OnLine("PASS x");
  EXPECT_FALSE(passthrough.OnReply("+O"));
  EXPECT_TRUE(passthrough.OnReply("K\r\n"));
  EXPECT_TRUE(passthrough.logged_in());
}

TEST(PassthroughTest, SaslAnswersAreNoCommands) {
  Follow({
      {"AUTH PLAIN", "+ \r\n", "", false, true},
      {"CAPA", "-ERR no\r\n", "", false, false},
      {"AUTH LOGIN", "+ VXNlcm5hbWU6\r\n", "", false, true},
      {"STLS", "+ UGFzc3dvcmQ6\r\n", "", false, true},
      {"LIST", "+OK\r\n", "", true, false},
      {"STAT", "+ 1 2\r\n", "", true, false},  // no login, so no challenge
  });
  Follow({{"AUTH PLAIN AHgAeA==", "+OK\r\n", "", true, false}});
}

}  // namespace
}  // namespace postern::protocolbroker::pop3
