#include "ipc/address.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

namespace postern::ipc {
namespace {

TEST(AddressTest, IsShownInItsCanonicalForm) {
  const struct {
    int family;
    const char *text, *shown;
    int version;
  } kRows[] = {
      {AF_INET, "127.0.0.2", "127.0.0.2", 4},
      {AF_INET6, "::1", "::1", 6},
      {AF_INET6, "2001:0db8:0:0:0:0:0:1", "2001:db8::1", 6},
      {AF_INET6, "::ffff:192.0.2.7", "192.0.2.7", 4},
  };
  for (const auto& row : kRows) {
    sockaddr_storage storage = {};
    storage.ss_family = static_cast<sa_family_t>(row.family);
    void* where = row.family == AF_INET ? static_cast<void*>(&reinterpret_cast<sockaddr_in&>(storage).sin_addr)
                                        : &reinterpret_cast<sockaddr_in6&>(storage).sin6_addr;
    ASSERT_EQ(inet_pton(row.family, row.text, where), 1);
    reinterpret_cast<sockaddr_in&>(storage).sin_port = htons(110);  // at the same place in both
    const Address address = FromSockaddr(storage);
    EXPECT_TRUE(address.Valid());
    EXPECT_EQ(address.version, row.version);
    EXPECT_EQ(address.port, 110);
    EXPECT_EQ(ToText(address), row.shown);
  }
}

TEST(AddressTest, AnotherFamilyIsNotValid) {
  sockaddr_storage storage = {};
  storage.ss_family = AF_UNIX;
  EXPECT_FALSE(FromSockaddr(storage).Valid());
}

}  // namespace
}  // namespace postern::ipc
