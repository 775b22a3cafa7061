#include "logger/allowance.h"

#include <gtest/gtest.h>

namespace postern::logger {
namespace {

// How many of `wanted` lines at that time are allowed.
int Taken(Allowance& allowance, int wanted, absl::Duration now) {
  int taken = 0;
  for (int i = 0; i < wanted; ++i) taken += allowance.Take(now) ? 1 : 0;
  return taken;
}

constexpr int kBurst = static_cast<int>(Allowance::kBurst), kPerSecond = static_cast<int>(Allowance::kPerSecond);
constexpr absl::Duration kStart = absl::Hours(100);  // since the machine was started

TEST(AllowanceTest, ABurstIsAllowedAndAFloodIsNot) {
  Allowance allowance;
  EXPECT_EQ(Taken(allowance, kBurst, kStart), kBurst);
  EXPECT_FALSE(allowance.lost());
  EXPECT_EQ(Taken(allowance, kBurst, kStart), 0);
  EXPECT_EQ(Taken(allowance, kBurst, kStart + absl::Seconds(1)), kPerSecond);
  EXPECT_EQ(Taken(allowance, 3 * kBurst, kStart + absl::Hours(1)), kBurst);
}

TEST(AllowanceTest, WhatIsLostIsToldOnceASecond) {
  Allowance allowance;
  EXPECT_EQ(allowance.TakeLost(kStart), 0u);
  Taken(allowance, kBurst + 5, kStart + absl::Seconds(2));
  EXPECT_EQ(allowance.TakeLost(kStart + absl::Seconds(2)), 5u);
  EXPECT_EQ(Taken(allowance, 7, kStart + absl::Seconds(2)), 0);
  EXPECT_EQ(allowance.TakeLost(kStart + absl::Milliseconds(2999)), 0u);
  EXPECT_TRUE(allowance.lost());
  EXPECT_EQ(allowance.TakeLost(kStart + absl::Seconds(3)), 7u);
  EXPECT_FALSE(allowance.lost());
}

}  // namespace
}  // namespace postern::logger
