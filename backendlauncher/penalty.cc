#include "backendlauncher/penalty.h"

#include <algorithm>

namespace postern::backendlauncher {

std::optional<absl::Duration> Penalty::Queue(const ipc::Address& client, absl::Duration now) {
  const auto found = by_network_.find(ipc::NetworkOf(client));
  if (found == by_network_.end()) return absl::ZeroDuration();
  Record& record = found->second;
  const auto failures = static_cast<int>(absl::Ceil(record.forgotten - now, kForgetOne) / kForgetOne);
  if (failures < free_failures_) return absl::ZeroDuration();
  const absl::Duration spacing = std::min(absl::Seconds(1 << (failures - free_failures_)), kSpacingMax);
  const absl::Duration start = std::max(now, record.last_start + spacing);
  if (start - now > kDelayMax) return std::nullopt;
  record.last_start = start;
  return start - now;
}

void Penalty::Failed(const ipc::Address& client, absl::Duration now) {
  if (free_failures_ == 0) return;
  const ipc::Network network = ipc::NetworkOf(client);
  if (by_network_.count(network) == 0) MakeRoom(now);
  Record& record = by_network_.try_emplace(network, Record{now}).first->second;
  record.forgotten =
      std::min(std::max(record.forgotten, now) + kForgetOne, now + (free_failures_ + kCountedMax) * kForgetOne);
}

// Those that are forgotten go; if there are none, the one that would be first.
void Penalty::MakeRoom(absl::Duration now) {
  if (by_network_.size() < kNetworksMax) return;
  std::erase_if(by_network_, [now](const auto& entry) { return entry.second.forgotten <= now; });
  if (by_network_.size() < kNetworksMax) return;
  by_network_.erase(std::min_element(by_network_.begin(), by_network_.end(), [](const auto& a, const auto& b) {
    return a.second.forgotten < b.second.forgotten;
  }));
}

}  // namespace postern::backendlauncher
