#include "acceptor/slots.h"

#include <gtest/gtest.h>

namespace postern::acceptor {
namespace {

using Answer = Slots::Answer;

ipc::Address V4(uint8_t last, uint16_t port = 1) { return {4, port, {127, 0, 0, last}}; }
ipc::Address V6(uint8_t network, uint8_t host) {
  ipc::Address address = {6, 1, {0x20, 0x01}};
  address.octets[7] = network;
  address.octets[15] = host;
  return address;
}

TEST(SlotsTest, CountsInAllAndPerAddress) {
  Slots slots(3, 2);
  EXPECT_EQ(slots.Take(V4(1, 1)), Answer::kTaken);
  EXPECT_EQ(slots.Take(V4(1, 2)), Answer::kTaken);
  EXPECT_EQ(slots.Take(V4(1, 3)), Answer::kAddressFull);  // the port does not make another address
  EXPECT_EQ(slots.Take(V4(2)), Answer::kTaken);
  EXPECT_EQ(slots.Take(V4(3)), Answer::kAllInUse);
  slots.Free(V4(1, 1));
  EXPECT_EQ(slots.in_use(), 2u);
  EXPECT_EQ(slots.Take(V4(1, 4)), Answer::kTaken);
}

TEST(SlotsTest, AnIpv6ClientCountsByItsNetwork) {
  Slots slots(10, 1);
  EXPECT_EQ(slots.Take(V6(1, 1)), Answer::kTaken);
  EXPECT_EQ(slots.Take(V6(1, 2)), Answer::kAddressFull);
  EXPECT_EQ(slots.Take(V6(2, 1)), Answer::kTaken);
}

}  // namespace
}  // namespace postern::acceptor
