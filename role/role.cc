#include "role/role.h"

#include <getopt.h>
#include <poll.h>

#include <cerrno>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/log.h"
#include "base/status_macros.h"

namespace postern::role {
namespace {

absl::StatusOr<Options> Parse(int argc, char** argv, const std::vector<std::string>& names) {
  std::vector<option> table;
  for (const std::string& name : names) table.push_back({name.c_str(), required_argument, nullptr, 0});
  table.push_back({});
  Options options;
  int index = 0;
  opterr = 0;
  for (int c; (c = getopt_long(argc, argv, "", table.data(), &index)) != -1;) {
    if (c != 0) return absl::InvalidArgumentError(absl::StrCat("bad option ", argv[optind - 1]));
    options.emplace_back(names[static_cast<size_t>(index)], optarg);
  }
  if (optind != argc) return absl::InvalidArgumentError(absl::StrCat("unexpected argument ", argv[optind]));
  return options;
}

absl::StatusOr<sandbox::Identity> ParseIdentity(absl::string_view text) {
  const std::vector<absl::string_view> parts = absl::StrSplit(text, ':');
  sandbox::Identity identity = {};
  if (parts.size() != 2 || !absl::SimpleAtoi(parts[0], &identity.uid) || !absl::SimpleAtoi(parts[1], &identity.gid))
    return absl::InvalidArgumentError(absl::StrCat("--identity=", text, ": want UID:GID"));
  return identity;
}

}  // namespace

absl::StatusOr<int> Number(const std::pair<std::string, std::string>& option) {
  int number;
  if (absl::SimpleAtoi(option.second, &number) && number >= 0) return number;
  return absl::InvalidArgumentError(absl::StrCat("--", option.first, "=", option.second, ": not a number"));
}

absl::StatusOr<Start> Begin(int argc, char** argv, const std::vector<std::string>& names) {
  base::KeepTitleSpace(argc, argv);
  std::vector<std::string> all_names = {"fds", "policy", "identity"};
  all_names.insert(all_names.end(), names.begin(), names.end());
  ASSIGN_OR_RETURN(Options all, Parse(argc, argv, all_names));

  Start start;
  std::vector<std::string> fd_names;
  std::string policy_path;
  sandbox::Identity identity = {};
  for (auto& option : all) {
    if (option.first == "fds") {
      fd_names = absl::StrSplit(option.second, ',');
    } else if (option.first == "policy") {
      policy_path = option.second;
    } else if (option.first == "identity") {
      ASSIGN_OR_RETURN(identity, ParseIdentity(option.second));
    } else {
      start.options.push_back(std::move(option));
    }
  }
  ASSIGN_OR_RETURN(start.fds, base::InheritedFds::Adopt(fd_names));
  base::SetLogSocket(start.fds.Take("log"));
  start.control = start.fds.Take("control");

  ASSIGN_OR_RETURN(start.policy, sandbox::ReadCheckedPolicy(policy_path));
  std::vector<std::pair<std::string, int>> named;
  for (size_t i = 0; i < fd_names.size(); ++i) named.emplace_back(fd_names[i], static_cast<int>(i) + 3);
  RETURN_IF_ERROR(sandbox::CheckDescriptors(start.policy, named));
  RETURN_IF_ERROR(sandbox::Enter(start.policy, identity));
  return start;
}

absl::Status Wait(int fd, short events, int control, const base::Deadline& deadline, int partner) {
  pollfd fds[] = {{fd, events, 0}, {control, 0, 0}, {partner, 0, 0}};  // poll(2) leaves out -1
  while (true) {
    const int ready = poll(fds, 3, deadline.PollMillis());
    if (ready < 0 && errno != EINTR) return absl::ErrnoToStatus(errno, "poll");
    if (ready > 0 && fds[1].revents != 0) return absl::CancelledError("shutdown");
    // Before what is ready: a peer that always has something to say would never be told that its time is over.
    if (deadline.Passed()) return absl::DeadlineExceededError("time is over");
    if (ready > 0 && fds[2].revents != 0) return absl::OutOfRangeError("hang-up");
    if (ready > 0) return absl::OkStatus();
  }
}

}  // namespace postern::role
