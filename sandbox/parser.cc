// ParsePolicy: the lines and sections of a policy file. What stands in [syscalls NAME] is in rules.cc.
#include <sys/capability.h>

#include <algorithm>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/status_macros.h"
#include "sandbox/errors.h"
#include "sandbox/policy.h"
#include "sandbox/rules.h"
#include "sandbox/suggest.h"
#include "sandbox/symbols.h"

namespace postern::sandbox {
namespace {

using Words = std::vector<absl::string_view>;

constexpr size_t kNameOctetsMax = 32;
constexpr absl::string_view kFirstLine = "policy v1";

// Letters, digits, - and _, beginning with a lower-case letter: users, descriptors, stages.
bool IsName(absl::string_view text) {
  return !text.empty() && text.size() <= kNameOctetsMax && (absl::ascii_islower(text[0]) || text[0] == '_') &&
         std::all_of(text.begin(), text.end(),
                     [](char c) { return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-' || c == '_'; });
}

Words SplitWords(absl::string_view text) { return absl::StrSplit(text, absl::ByAnyChar(" \t,"), absl::SkipEmpty()); }

// Absolute, and as the kernel would write it: "/run", not "/run/", "/", or with "..".
bool IsDirectoryName(absl::string_view text) {
  const Words names = absl::StrSplit(text, '/');
  return names.size() > 1 && names[0].empty() && !absl::StrContains(text, ' ') &&
         std::none_of(names.begin() + 1, names.end(),
                      [](absl::string_view name) { return name.empty() || name == "." || name == ".."; });
}

// 64M, 1K, 20.
std::optional<uint64_t> ParseSize(absl::string_view text) {
  int shift = 0;
  if (absl::ConsumeSuffix(&text, "K")) {
    shift = 10;
  } else if (absl::ConsumeSuffix(&text, "M")) {
    shift = 20;
  } else if (absl::ConsumeSuffix(&text, "G")) {
    shift = 30;
  }
  uint64_t value = 0;
  if (text.empty() || !std::all_of(text.begin(), text.end(), absl::ascii_isdigit) || !absl::SimpleAtoi(text, &value))
    return std::nullopt;
  if (value > std::numeric_limits<uint64_t>::max() >> shift) return std::nullopt;
  return value << shift;
}

class Parser {
 public:
  explicit Parser(absl::string_view name) : errors_(name) { policy_.name = std::string(name); }

  absl::StatusOr<Policy> Parse(absl::string_view text);

 private:
  // One "key = value", where one line may state several keys.
  struct Statement {
    Line line;
    absl::string_view key;
    absl::string_view value;
  };

  void ParseLine(const Line& line);
  void BeginSection(const Line& line, absl::string_view text);
  void ParseStatements(const Line& line, absl::string_view text);
  void ParseStatement(const Statement& statement);

  void ParseIdentity(const Statement& statement);
  void ParseCaps(const Statement& statement);
  void ParseDescriptors(const Statement& statement);
  void ParseKeep(const Statement& statement);
  void ParseKind(const Statement& statement);
  void ParseNamespaces(const Statement& statement);
  void ParseLimits(const Statement& statement);

  // The position of the value in `values`; -1 after an error.
  int Choose(const Statement& statement, const Words& values);
  void ChooseBool(const Statement& statement, absl::string_view no, absl::string_view yes, bool* result);
  void ChooseNeed(const Statement& statement, absl::string_view no, absl::string_view yes, Need* result);
  void UnknownKey(const Statement& statement, const Words& keys);

  // What only the whole file shows.
  void CheckWhole();
  void CheckKinds();
  void CheckStages();
  // Where a key, a section or a word was stated: an error that is seen only at the end stands there.
  void AddAt(const std::string& place, absl::string_view what);

  Policy policy_;
  Errors errors_;
  std::string section_;  // "identity", "syscalls worker"; empty before the first and in an unknown one
  bool skip_ = false;    // inside an unknown section
  std::map<std::string, std::pair<Line, absl::string_view>> places_;
  std::map<std::string, StageParser> stage_parsers_;
};

absl::StatusOr<Policy> Parser::Parse(absl::string_view text) {
  int number = 0;
  for (const absl::string_view part : absl::StrSplit(text, '\n')) {
    ++number;
    const Line line{number, part.substr(0, part.find('#'))};
    const auto odd = std::find_if(part.begin(), part.end(), [](char c) {
      return c != '\t' && absl::ascii_iscntrl(static_cast<unsigned char>(c));
    });
    if (odd != part.end()) {
      const Line whole{number, part};
      errors_.Add(whole, part.substr(static_cast<size_t>(odd - part.begin())),
                  absl::StrCat("octet 0x", absl::Hex(static_cast<unsigned char>(*odd), absl::kZeroPad2),
                               *odd == '\r' ? " (lines end in a line feed only)" : ""));
      continue;
    }
    if (number == 1) {
      if (absl::StripTrailingAsciiWhitespace(line.text) != kFirstLine)
        errors_.Add(line, line.text, absl::StrCat("the first line has to be \"", kFirstLine, "\""));
      continue;
    }
    ParseLine(line);
  }
  CheckWhole();
  RETURN_IF_ERROR(errors_.ToStatus());
  return std::move(policy_);
}

void Parser::ParseLine(const Line& line) {
  const absl::string_view text = absl::StripAsciiWhitespace(line.text);
  if (text.empty()) return;
  if (const auto odd = std::find_if_not(text.begin(), text.end(), absl::ascii_isascii); odd != text.end()) {
    errors_.Add(line, text.substr(static_cast<size_t>(odd - text.begin())), "only ASCII is possible outside comments");
  } else if (text[0] == '[') {
    BeginSection(line, text);
  } else if (skip_) {
    return;
  } else if (absl::StartsWith(section_, "syscalls ")) {
    stage_parsers_.at(section_).Parse(line);
  } else {
    ParseStatements(line, text);
  }
}

void Parser::BeginSection(const Line& line, absl::string_view text) {
  static const Words kSections = {"identity", "descriptors", "namespaces", "limits", "syscalls"};
  skip_ = true;
  const Words words = SplitWords(absl::StripSuffix(absl::StripPrefix(text, "["), "]"));
  if (!absl::EndsWith(text, "]") || words.empty() || words.size() > 2) {
    errors_.Add(line, text, "expected [SECTION] or [SECTION STAGE]");
    return;
  }
  const absl::string_view name = words[0];
  if (std::find(kSections.begin(), kSections.end(), name) == kSections.end()) {
    errors_.Add(line, name, absl::StrCat("unknown section ", Quoted(name), DidYouMean(name, kSections)));
    return;
  }
  if (words.size() == 1 && name == "syscalls") {
    errors_.Add(line, name, "[syscalls] has to name its stage, e.g. [syscalls worker]");
    return;
  }
  if (words.size() == 2 && name != "syscalls" && name != "limits") {
    errors_.Add(line, words[1], absl::StrCat("[", name, "] is for all stages"));
    return;
  }
  if (words.size() == 2 && !IsName(words[1])) {
    errors_.Add(line, words[1], absl::StrCat("not a name of a stage: ", Quoted(words[1])));
    return;
  }
  section_ = absl::StrJoin(words, " ");
  const auto [place, fresh] = places_.try_emplace(section_, line, name);
  if (!fresh) {
    errors_.Add(line, name,
                absl::StrCat("[", section_, "] is stated twice, first on line ", place->second.first.number));
    return;
  }
  skip_ = false;
  if (name != "syscalls") return;
  Stage& stage = policy_.stages[std::string(words[1])];
  stage.line = line.number;
  stage_parsers_.try_emplace(section_, words[1], &stage, &errors_);
}

void Parser::ParseStatements(const Line& line, absl::string_view text) {
  if (section_.empty()) {
    errors_.Add(line, text, "expected a section, e.g. [identity]");
    return;
  }
  const size_t equals = text.find('=');
  const Words keys = SplitWords(text.substr(0, equals));
  if (equals == absl::string_view::npos || keys.empty()) {
    errors_.Add(line, text, "expected \"key = value\"");
    return;
  }
  for (const absl::string_view key : keys) {
    const auto [place, fresh] = places_.try_emplace(absl::StrCat(section_, "/", key), line, key);
    if (!fresh) {
      errors_.Add(line, key,
                  absl::StrCat(Quoted(key), " is stated twice in [", section_, "], first on line ",
                               place->second.first.number));
      continue;
    }
    ParseStatement({line, key, absl::StripAsciiWhitespace(text.substr(equals + 1))});
  }
}

void Parser::ParseStatement(const Statement& statement) {
  if (statement.value.empty()) {
    errors_.Add(statement.line, statement.key, absl::StrCat(Quoted(statement.key), " has no value"));
  } else if (section_ == "identity") {
    ParseIdentity(statement);
  } else if (section_ == "descriptors") {
    ParseDescriptors(statement);
  } else if (section_ == "namespaces") {
    ParseNamespaces(statement);
  } else {
    ParseLimits(statement);
  }
}

void Parser::ParseIdentity(const Statement& statement) {
  if (statement.key == "user") {
    if (!IsName(statement.value)) {
      errors_.Add(statement.line, statement.value, absl::StrCat("not the name of a user: ", Quoted(statement.value)));
    } else if (statement.value == "root") {
      errors_.Add(statement.line, statement.value, "a role cannot be root");
    }
    policy_.user = std::string(statement.value);
  } else if (statement.key == "caps") {
    ParseCaps(statement);
  } else if (statement.key == "no-new-privs") {
    ChooseBool(statement, "no", "yes", &policy_.no_new_privs);
  } else if (statement.key == "dumpable") {
    ChooseBool(statement, "no", "yes", &policy_.dumpable);
  } else if (statement.key == "parent-death") {
    ChooseBool(statement, "none", "kill", &policy_.parent_death_kill);
  } else {
    UnknownKey(statement, {"user", "caps", "no-new-privs", "dumpable", "parent-death"});
  }
}

void Parser::ParseCaps(const Statement& statement) {
  if (statement.value == "none") return;
  for (const absl::string_view word : SplitWords(statement.value)) {
    cap_value_t value;
    // libcap would take numbers, too.
    const bool known = IsName(word) && cap_from_name(absl::StrCat("cap_", word).c_str(), &value) == 0;
    if (known && std::find(policy_.caps.begin(), policy_.caps.end(), word) == policy_.caps.end()) {
      policy_.caps.push_back(std::string(word));
      continue;
    }
    if (known) {
      errors_.Add(statement.line, word, absl::StrCat(Quoted(word), " is stated twice"));
      continue;
    }
    std::vector<std::string> names;
    for (cap_value_t cap = 0; cap <= CAP_LAST_CAP; ++cap) {
      char* name = cap_to_name(cap);
      if (name != nullptr) names.emplace_back(absl::StripPrefix(name, "cap_"));
      cap_free(name);
    }
    errors_.Add(statement.line, word,
                absl::StrCat("unknown capability ", Quoted(word), DidYouMean(word, Words(names.begin(), names.end()))));
  }
}

void Parser::ParseDescriptors(const Statement& statement) {
  if (statement.key == "keep") {
    ParseKeep(statement);
  } else if (statement.key == "kind") {
    ParseKind(statement);
  } else {
    UnknownKey(statement, {"keep", "kind"});
  }
}

void Parser::ParseKeep(const Statement& statement) {
  if (statement.value == "none") return;
  for (const absl::string_view word : SplitWords(statement.value)) {
    const absl::string_view name = absl::StripSuffix(word, "*");
    if (!IsName(name)) {
      errors_.Add(statement.line, word, absl::StrCat("not the name of a descriptor: ", Quoted(word)));
    } else if (!places_.try_emplace(absl::StrCat("keep:", name), statement.line, word).second) {
      errors_.Add(statement.line, word, absl::StrCat(Quoted(name), " is stated twice"));
    } else {
      policy_.keep.push_back(std::string(word));
    }
  }
}

void Parser::ParseKind(const Statement& statement) {
  static const Words kKinds = {"inet-listener", "inet-stream", "unix-seqpacket", "unix-stream",
                               "pipe-read",     "pipe-write",  "file",           "any"};
  for (const absl::string_view word : SplitWords(statement.value)) {
    const size_t colon = word.find(':');
    if (colon == absl::string_view::npos) {
      errors_.Add(statement.line, word, absl::StrCat("expected NAME:KIND, found ", Quoted(word)));
      continue;
    }
    const absl::string_view name = absl::StripSuffix(word.substr(0, colon), "*");
    const absl::string_view kind = word.substr(colon + 1);
    if (std::find(kKinds.begin(), kKinds.end(), kind) == kKinds.end()) {
      errors_.Add(statement.line, kind, absl::StrCat("unknown kind ", Quoted(kind), DidYouMean(kind, kKinds)));
    }
    // Kept even then, so that CheckKinds does not call it missing.
    if (!policy_.kind.try_emplace(std::string(name), kind).second) {
      errors_.Add(statement.line, word, absl::StrCat("the kind of ", Quoted(name), " is stated twice"));
    }
    places_.try_emplace(absl::StrCat("kind:", name), statement.line, word);
  }
}

void Parser::ParseNamespaces(const Statement& statement) {
  bool* space = nullptr;
  if (statement.key == "net") space = &policy_.net;
  if (statement.key == "mount") space = &policy_.mount;
  if (statement.key == "ipc") space = &policy_.ipc;
  if (statement.key == "uts") space = &policy_.uts;
  if (statement.key == "pid") space = &policy_.pid;
  if (space != nullptr) {
    ChooseBool(statement, "keep", "new", space);
  } else if (statement.key == "root") {
    const int chosen = Choose(statement, {"keep", "read-only", "empty"});
    if (chosen >= 0) policy_.root = chosen == 0 ? Root::kKeep : chosen == 1 ? Root::kReadOnly : Root::kEmpty;
  } else if (statement.key == "tmpfs") {
    if (!IsDirectoryName(statement.value))
      errors_.Add(statement.line, statement.value,
                  absl::StrCat("not the path of a directory: ", Quoted(statement.value)));
    policy_.tmpfs = std::string(statement.value);
  } else if (statement.key == "landlock") {
    ChooseNeed(statement, "keep", "deny-all", &policy_.landlock);
  } else {
    UnknownKey(statement, {"net", "mount", "ipc", "uts", "pid", "root", "tmpfs", "landlock"});
  }
}

void Parser::ParseLimits(const Statement& statement) {
  const absl::string_view stage_name = absl::StripLeadingAsciiWhitespace(absl::StripPrefix(section_, "limits"));
  // CheckStages refuses one that has no [syscalls STAGE], which may still follow.
  Stage* stage = stage_name.empty() ? nullptr : &policy_.stages[std::string(stage_name)];
  if (statement.key == "memory-deny-exec") {
    ChooseNeed(statement, "no", "yes", stage == nullptr ? &policy_.memory_deny_exec : &stage->memory_deny_exec);
    return;
  }
  const std::optional<int> resource = LimitResource(statement.key);
  if (!resource.has_value()) {
    Words keys = LimitNames();
    keys.push_back("memory-deny-exec");
    UnknownKey(statement, keys);
    return;
  }
  const std::optional<uint64_t> value = ParseSize(statement.value);
  if (!value.has_value()) {
    errors_.Add(statement.line, statement.value,
                absl::StrCat("expected a number, which may end in K, M or G; found ", Quoted(statement.value)));
    return;
  }
  (stage == nullptr ? policy_.limits : stage->limits).push_back({*resource, *value});
}

int Parser::Choose(const Statement& statement, const Words& values) {
  const std::string value =
      absl::StrJoin(Words(absl::StrSplit(statement.value, absl::ByAnyChar(" \t"), absl::SkipEmpty())), " ");
  const auto found = std::find(values.begin(), values.end(), value);
  if (found != values.end()) return static_cast<int>(found - values.begin());
  errors_.Add(
      statement.line, statement.value,
      absl::StrCat(Quoted(value), " is no value of ", Quoted(statement.key), ": ", absl::StrJoin(values, ", ")));
  return -1;
}

void Parser::ChooseBool(const Statement& statement, absl::string_view no, absl::string_view yes, bool* result) {
  const int chosen = Choose(statement, {no, yes});
  if (chosen >= 0) *result = chosen == 1;
}

void Parser::ChooseNeed(const Statement& statement, absl::string_view no, absl::string_view yes, Need* result) {
  const std::string if_possible = absl::StrCat(yes, " try");
  const int chosen = Choose(statement, {no, yes, if_possible});
  if (chosen >= 0) *result = chosen == 0 ? Need::kNo : chosen == 1 ? Need::kRequire : Need::kTry;
}

void Parser::UnknownKey(const Statement& statement, const Words& keys) {
  errors_.Add(
      statement.line, statement.key,
      absl::StrCat("unknown key ", Quoted(statement.key), " in [", section_, "]", DidYouMean(statement.key, keys)));
}

void Parser::AddAt(const std::string& place, absl::string_view what) {
  const auto found = places_.find(place);
  if (found != places_.end()) return errors_.Add(found->second.first, found->second.second, what);
  errors_.Add(Line{1, kFirstLine}, kFirstLine, what);
}

void Parser::CheckWhole() {
  CheckKinds();
  CheckStages();
  if (policy_.root != Root::kKeep && !policy_.mount)
    AddAt("namespaces/mount",
          absl::StrCat("mount = keep needs root = keep: without a mount namespace of its own the root cannot be ",
                       policy_.root == Root::kEmpty ? "empty" : "read-only"));
  if (!policy_.tmpfs.empty() && !policy_.mount)
    AddAt("namespaces/tmpfs", "tmpfs needs mount = new: everybody would see it");
  if (!policy_.tmpfs.empty() && policy_.root == Root::kEmpty)
    AddAt("namespaces/tmpfs", "tmpfs needs root = keep or read-only: in an empty root there is no directory");
  if (!policy_.no_new_privs && policy_.landlock != Need::kNo)
    AddAt("namespaces/landlock", "landlock needs no-new-privs = yes");
}

void Parser::CheckKinds() {
  std::set<std::string> kept;
  for (const std::string& word : policy_.keep) kept.emplace(absl::StripSuffix(word, "*"));
  for (const std::string& name : kept)
    if (policy_.kind.count(name) == 0)
      AddAt(absl::StrCat("keep:", name), absl::StrCat(Quoted(name), " has no kind: kind = ", name, ":KIND"));
  for (const auto& [name, kind] : policy_.kind)
    if (kept.count(name) == 0)
      AddAt(absl::StrCat("kind:", name),
            absl::StrCat(Quoted(name), " is not kept", DidYouMean(name, Words(kept.begin(), kept.end()))));
}

void Parser::CheckStages() {
  Words with_filter;
  for (const auto& [name, stage] : policy_.stages)
    if (stage.line != 0) with_filter.push_back(name);
  for (const auto& [section, place] : places_) {
    const absl::string_view name = absl::StripPrefix(section, "limits ");
    if (name == section || absl::StrContains(section, "/")) continue;
    if (std::find(with_filter.begin(), with_filter.end(), name) != with_filter.end()) continue;
    AddAt(section, absl::StrCat("there is no [syscalls ", name, "]", DidYouMean(name, with_filter)));
  }
  for (const auto& [name, stage] : policy_.stages) {
    if (stage.line == 0) continue;
    const std::string section = absl::StrCat("syscalls ", name);
    if (!stage_parsers_.at(section).has_default() && stage.syscalls.empty())
      AddAt(section, absl::StrCat("[", section, "] has to begin with @default kill or @default allow"));
    if (policy_.no_new_privs) continue;
    if (name != "enter")
      AddAt(section, "no-new-privs = no leaves only a stage named \"enter\": later there is no right to load a filter");
    if (stage.default_action != Action::kAllow)
      AddAt(section, "under no-new-privs = no the stage has to be @default allow");
  }
}

}  // namespace

absl::StatusOr<Policy> ParsePolicy(absl::string_view name, absl::string_view text) {
  if (text.size() > kPolicyOctetsMax)
    return absl::InvalidArgumentError(absl::StrCat(name, ":1:1: longer than ", kPolicyOctetsMax, " octets"));
  return Parser(name).Parse(text);
}

}  // namespace postern::sandbox
