#include "backendlauncher/proxy_header.h"

#include <gtest/gtest.h>

#include "absl/strings/escaping.h"

namespace postern::backendlauncher {
namespace {

const ipc::Address kClient4 = {4, 50000, {192, 0, 2, 1}}, kServer4 = {4, 110, {198, 51, 100, 7}};
const ipc::Address kClient6 = {6, 50001, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}};
const ipc::Address kServer6 = {6, 995, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2}};

ipc::TlsFacts Facts(absl::string_view sni) {
  ipc::TlsFacts facts;
  facts.version = decltype(facts.version)::From("TLSv1.3");
  facts.cipher = decltype(facts.cipher)::From("AES");
  facts.sni = decltype(facts.sni)::From(sni);
  return facts;
}

TEST(ProxyHeaderTest, Version1) {
  EXPECT_EQ(ProxyHeader(1, kClient4, kServer4, {}), "PROXY TCP4 192.0.2.1 198.51.100.7 50000 110\r\n");
  EXPECT_EQ(ProxyHeader(1, kClient6, kServer6, Facts("x")), "PROXY TCP6 2001:db8::1 2001:db8::2 50001 995\r\n");
  EXPECT_EQ(ProxyHeader(1, kClient4, kServer6, {}), "PROXY UNKNOWN\r\n");
}

TEST(ProxyHeaderTest, Version2) {
  struct Row {
    ipc::Address client, server;
    ipc::TlsFacts facts;
    const char* hex;  // behind the signature
  };
  const Row kRows[] = {
      {kClient4,
       kServer4,
       {},
       "2111000c"
       "c0000201"
       "c6336407"
       "c350"
       "006e"},
      {kClient6,
       kServer6,
       {},
       "21210024"
       "20010db8000000000000000000000001"
       "20010db8000000000000000000000002"
       "c351"
       "03e3"},
      {kClient4, kServer6, {}, "21000000"},
      // 12 + authority 3+1 + ssl 3 + (5 + 3+7 + 3+3)
      {kClient4, kServer4, Facts("a"),
       "21110028"
       "c0000201"
       "c6336407"
       "c350"
       "006e"
       "02000161"
       "200015"
       "0100000001"
       "210007544c5376312e33"
       "230003414553"},
      {kClient4, kServer4, Facts(""),
       "21110024"
       "c0000201"
       "c6336407"
       "c350"
       "006e"
       "200015"
       "0100000001"
       "210007544c5376312e33"
       "230003414553"},
  };
  for (const Row& row : kRows)
    EXPECT_EQ(absl::BytesToHexString(ProxyHeader(2, row.client, row.server, row.facts)),
              absl::StrCat("0d0a0d0a000d0a515549540a", row.hex));
}

TEST(ProxyHeaderTest, OfPosternItself) {
  EXPECT_EQ(ProxyHeaderForNobody(1), "PROXY UNKNOWN\r\n");
  EXPECT_EQ(ProxyHeaderForNobody(2), std::string("\r\n\r\n\0\r\nQUIT\n\x20\0\0\0", 16));
}

}  // namespace
}  // namespace postern::backendlauncher
