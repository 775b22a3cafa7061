#include "backendlauncher/environment.h"

#include <gtest/gtest.h>

#include "absl/strings/str_join.h"

namespace postern::backendlauncher {
namespace {

TEST(EnvironmentTest, HoldsTheAddresses) {
  const ipc::Address client = {4, 40000, {127, 0, 0, 2}};
  const ipc::Address server = {6, 110, {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
  EXPECT_EQ(absl::StrJoin(BuildEnvironment(client, server, {}), "|"),
            "PATH=/usr/local/bin:/usr/bin:/bin|PROTO=TCP|TCPREMOTEIP=127.0.0.2|TCPREMOTEPORT=40000|"
            "TCPLOCALIP=::1|TCPLOCALPORT=110");
}

TEST(EnvironmentTest, TellsOfTlsOnlyInsideTls) {
  ipc::TlsFacts facts;
  facts.version = decltype(facts.version)::From("TLSv1.3");
  facts.cipher = decltype(facts.cipher)::From("TLS_AES_128_GCM_SHA256");
  const std::string without_sni = absl::StrJoin(BuildEnvironment({4, 1}, {4, 2}, facts), "|");
  EXPECT_NE(without_sni.find("|SSL_PROTOCOL=TLSv1.3|SSL_CIPHER=TLS_AES_128_GCM_SHA256|POP3_TLS=1"), std::string::npos);
  facts.sni = decltype(facts.sni)::From("mail.example\nX=y");
  const std::string with_sni = absl::StrJoin(BuildEnvironment({4, 1}, {4, 2}, facts), "|");
  EXPECT_NE(with_sni.find("|SSL_TLS_SNI_SERVERNAME=mail.example?X=y|"), std::string::npos);
}

}  // namespace
}  // namespace postern::backendlauncher
