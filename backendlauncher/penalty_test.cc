#include "backendlauncher/penalty.h"

#include <gtest/gtest.h>

#include <vector>

namespace postern::backendlauncher {
namespace {

ipc::Address V4(uint8_t last) { return {4, 1000, {192, 0, 2, last}}; }
ipc::Address V6(uint8_t eighth, uint8_t last) {
  ipc::Address address = {6, 1000, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, eighth}};
  address.octets[15] = last;
  return address;
}

// Queued at once, in seconds; -1: refused.
std::vector<int64_t> Queued(Penalty& penalty, const ipc::Address& client, absl::Duration now, int attempts) {
  std::vector<int64_t> waits;
  for (int i = 0; i < attempts; ++i) {
    const auto wait = penalty.Queue(client, now);
    waits.push_back(wait.has_value() ? absl::ToInt64Seconds(*wait) : -1);
  }
  return waits;
}

TEST(PenaltyTest, TheFirstFailuresAreFree) {
  Penalty penalty(3);
  for (int i = 0; i < 2; ++i) penalty.Failed(V4(1), absl::Seconds(100));
  EXPECT_EQ(Queued(penalty, V4(1), absl::Seconds(100), 4), (std::vector<int64_t>{0, 0, 0, 0}));
}

TEST(PenaltyTest, AttemptsOfOneAddressFollowOneAnother) {
  struct Row {
    int failures;
    std::vector<int64_t> waits;
  };
  const Row kRows[] = {
      {2, {0, 0, 0, 0}},           {3, {0, 1, 2, 3}},    {4, {0, 2, 4, 6}},
      {6, {0, 8, 16, 24, -1, -1}}, {7, {0, 15, 30, -1}}, {1000, {0, 15, 30, -1}},
  };
  for (const Row& row : kRows) {
    Penalty penalty(3);
    for (int i = 0; i < row.failures; ++i) penalty.Failed(V4(1), absl::Seconds(100));
    EXPECT_EQ(Queued(penalty, V4(1), absl::Seconds(100), static_cast<int>(row.waits.size())), row.waits)
        << row.failures;
    EXPECT_EQ(Queued(penalty, V4(2), absl::Seconds(100), 2), (std::vector<int64_t>{0, 0})) << "another address";
  }
}

TEST(PenaltyTest, ARefusedAttemptTakesNoPlace) {
  Penalty penalty(1);
  for (int i = 0; i < 50; ++i) penalty.Failed(V4(1), absl::Seconds(100));
  EXPECT_EQ(Queued(penalty, V4(1), absl::Seconds(100), 5), (std::vector<int64_t>{0, 15, 30, -1, -1}));
  EXPECT_EQ(Queued(penalty, V4(1), absl::Seconds(115), 2), (std::vector<int64_t>{30, -1}));
}

TEST(PenaltyTest, OneIsForgottenAMinute) {
  Penalty penalty(3);
  for (int i = 0; i < 4; ++i) penalty.Failed(V4(1), absl::ZeroDuration());
  EXPECT_EQ(Queued(penalty, V4(1), absl::Seconds(59), 2), (std::vector<int64_t>{0, 2}));
  EXPECT_EQ(Queued(penalty, V4(1), absl::Seconds(70), 2), (std::vector<int64_t>{0, 1}));
  EXPECT_EQ(Queued(penalty, V4(1), absl::Seconds(121), 2), (std::vector<int64_t>{0, 0}));
}

TEST(PenaltyTest, TheWorstIsForgottenToo) {
  Penalty penalty(3);
  for (int i = 0; i < 100000; ++i) penalty.Failed(V4(1), absl::ZeroDuration());
  EXPECT_EQ(Queued(penalty, V4(1), absl::Minutes(Penalty::kCountedMax + 1), 2), (std::vector<int64_t>{0, 0}));
}

TEST(PenaltyTest, IPv6CountsByTheNetwork) {
  Penalty penalty(1);
  for (uint8_t i = 0; i < 10; ++i) penalty.Failed(V6(1, i), absl::ZeroDuration());
  EXPECT_EQ(Queued(penalty, V6(1, 200), absl::ZeroDuration(), 2), (std::vector<int64_t>{0, 15}));
  EXPECT_EQ(Queued(penalty, V6(2, 1), absl::ZeroDuration(), 2), (std::vector<int64_t>{0, 0}));
}

TEST(PenaltyTest, ZeroIsOff) {
  Penalty penalty(0);
  for (int i = 0; i < 100; ++i) penalty.Failed(V4(1), absl::ZeroDuration());
  EXPECT_EQ(Queued(penalty, V4(1), absl::ZeroDuration(), 2), (std::vector<int64_t>{0, 0}));
}

TEST(PenaltyTest, TheTableDoesNotGrowWithoutEnd) {
  Penalty penalty(1);
  ipc::Address client = {4, 1, {10}};
  for (size_t i = 0; i < Penalty::kNetworksMax + 100; ++i) {
    client.octets[1] = static_cast<uint8_t>(i >> 16);
    client.octets[2] = static_cast<uint8_t>(i >> 8);
    client.octets[3] = static_cast<uint8_t>(i);
    penalty.Failed(client, absl::Nanoseconds(i));
  }
  EXPECT_EQ(penalty.networks(), Penalty::kNetworksMax);
  EXPECT_EQ(Queued(penalty, client, absl::Milliseconds(1), 2), (std::vector<int64_t>{0, 1}));  // the last is known
  client.octets[1] = 0;
  client.octets[2] = 0;
  client.octets[3] = 0;
  EXPECT_EQ(Queued(penalty, client, absl::Milliseconds(1), 2), (std::vector<int64_t>{0, 0}));  // the first is not
  penalty.Failed(V4(1), absl::Minutes(2));
  EXPECT_EQ(penalty.networks(), 1u);
}

}  // namespace
}  // namespace postern::backendlauncher
