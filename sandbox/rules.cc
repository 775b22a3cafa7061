#include "sandbox/rules.h"

#include <errno.h>
#include <seccomp.h>

#include <algorithm>
#include <limits>
#include <optional>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "sandbox/suggest.h"
#include "sandbox/symbols.h"

namespace postern::sandbox {
namespace {

constexpr size_t kConjunctionsMax = 32;  // of one rule; what needs more wants `allow`
constexpr size_t kSyscallsMax = 1000;    // of one stage; no machine has as many
constexpr int kArguments = 6;

// A number or a symbol, as one term of a value.
bool IsWordOctet(char octet) { return absl::ascii_isalnum(octet) || octet == '_'; }

absl::string_view TakeWord(absl::string_view* text) {
  size_t octets = 0;
  while (octets < text->size() && IsWordOctet((*text)[octets])) ++octets;
  const absl::string_view word = text->substr(0, octets);
  text->remove_prefix(octets);
  return word;
}

std::optional<uint64_t> ParseNumber(absl::string_view text) {
  uint64_t value = 0;
  if (absl::StartsWith(text, "0x")) {
    const absl::string_view digits = text.substr(2);
    if (digits.empty() || !std::all_of(digits.begin(), digits.end(), absl::ascii_isxdigit)) return std::nullopt;
    return absl::SimpleHexAtoi(digits, &value) ? std::optional(value) : std::nullopt;
  }
  // 0600 would be read as 600 by some and as 384 by others.
  if (text.size() > 1 && text[0] == '0') return std::nullopt;
  return absl::SimpleAtoi(text, &value) ? std::optional(value) : std::nullopt;
}

bool SameConjunction(const std::vector<Condition>& a, const std::vector<Condition>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Condition& x, const Condition& y) {
    return x.argument == y.argument && x.op == y.op && x.value == y.value;
  });
}

}  // namespace

void StageParser::Parse(const Line& line) {
  const absl::string_view text = absl::StripAsciiWhitespace(line.text);
  if (absl::StartsWith(text, "@")) return ParseDirective(line, text);
  if (!has_default_ && !missing_default_said_) {
    errors_->Add(line, text, absl::StrCat("[syscalls ", name_, "] has to begin with @default kill or @default allow"));
    missing_default_said_ = true;
  }
  const size_t colon = text.find(':');
  if (colon == absl::string_view::npos) {
    errors_->Add(line, text, "expected \"name, name: rule\"");
    return;
  }
  Rule rule;
  const bool rule_is_good = ParseRule(line, absl::StripAsciiWhitespace(text.substr(colon + 1)), &rule);
  for (const absl::string_view name : absl::StrSplit(text.substr(0, colon), ','))
    AddSyscall(line, absl::StripAsciiWhitespace(name), rule_is_good ? &rule : nullptr);
}

void StageParser::ParseDirective(const Line& line, absl::string_view text) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words[0] != "@default") {
    errors_->Add(line, words[0],
                 absl::StrCat("unknown directive ", Quoted(words[0]), DidYouMean(words[0], {"@default"})));
    return;
  }
  if (has_default_ || missing_default_said_ || !stage_->syscalls.empty())
    errors_->Add(line, text, "@default has to be stated once, on the first line of the section");
  has_default_ = true;
  if (words.size() == 2 && words[1] == "kill") {
    stage_->default_action = Action::kKill;
  } else if (words.size() == 2 && words[1] == "allow") {
    stage_->default_action = Action::kAllow;
  } else {
    errors_->Add(line, words.size() > 1 ? words[1] : text, "@default has to be kill or allow");
  }
}

bool StageParser::ParseRule(const Line& line, absl::string_view text, Rule* rule) {
  const std::vector<absl::string_view> words = absl::StrSplit(text, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.empty()) {
    errors_->Add(line, text, "expected a rule: allow, kill, return ERRNO, or a comparison");
    return false;
  }
  if (words.size() == 1 && (words[0] == "allow" || words[0] == "kill")) {
    rule->action = words[0] == "allow" ? Action::kAllow : Action::kKill;
    return true;
  }
  if (words[0] == "return") {
    const std::optional<int> error = words.size() == 2 ? ErrnoValue(words[1]) : std::nullopt;
    if (!error.has_value()) {
      const absl::string_view at = words.size() > 1 ? words[1] : words[0];
      const bool one_word = words.size() == 2;
      errors_->Add(line, at,
                   one_word ? absl::StrCat("unknown errno ", Quoted(at), DidYouMean(at, ErrnoNames()))
                            : std::string("expected \"return ERRNO\", e.g. return ENOSYS"));
      return false;
    }
    rule->action = Action::kErrno;
    rule->error = *error;
    return true;
  }
  if (absl::StartsWith(words[0], "arg")) return ParseExpression(line, text, rule);
  errors_->Add(line, words[0],
               absl::StrCat("unknown rule ", Quoted(words[0]), DidYouMean(words[0], {"allow", "kill", "return"})));
  return false;
}

bool StageParser::ParseExpression(const Line& line, absl::string_view text, Rule* rule) {
  bool good = true;
  for (const absl::string_view part : absl::StrSplit(text, "||")) {
    std::vector<Condition> conjunction;
    if (!ParseConjunction(line, part, &conjunction)) {
      good = false;
      continue;
    }
    for (const std::vector<Condition>& earlier : rule->any_of) {
      if (!SameConjunction(earlier, conjunction)) continue;
      errors_->Add(line, absl::StripLeadingAsciiWhitespace(part), "this alternative is stated twice");
      good = false;
    }
    rule->any_of.push_back(std::move(conjunction));
    if (rule->any_of.size() > kConjunctionsMax) {
      errors_->Add(line, part, absl::StrCat("more than ", kConjunctionsMax, " alternatives"));
      return false;
    }
  }
  return good;
}

bool StageParser::ParseConjunction(const Line& line, absl::string_view text, std::vector<Condition>* conjunction) {
  bool good = true;
  for (const absl::string_view part : absl::StrSplit(text, "&&")) {
    Condition condition;
    if (!ParseComparison(line, absl::StripAsciiWhitespace(part), &condition)) {
      good = false;
      continue;
    }
    // libseccomp answers EINVAL for these, without saying why.
    for (const Condition& earlier : *conjunction) {
      if (earlier.argument != condition.argument) continue;
      errors_->Add(line, absl::StripLeadingAsciiWhitespace(part),
                   absl::StrCat("arg", condition.argument, " is compared twice in one conjunction"));
      good = false;
    }
    conjunction->push_back(condition);
  }
  std::sort(conjunction->begin(), conjunction->end(),
            [](const Condition& a, const Condition& b) { return a.argument < b.argument; });
  return good;
}

bool StageParser::ParseComparison(const Line& line, absl::string_view text, Condition* condition) {
  absl::string_view rest = text;
  const absl::string_view argument = TakeWord(&rest);
  if (argument.size() != 4 || !absl::StartsWith(argument, "arg") || argument[3] < '0' ||
      argument[3] >= '0' + kArguments) {
    errors_->Add(line, text, "expected a comparison: arg0 to arg5, then == or in, then a value");
    return false;
  }
  condition->argument = argument[3] - '0';
  rest = absl::StripLeadingAsciiWhitespace(rest);
  const absl::string_view at_operator = rest;
  if (absl::ConsumePrefix(&rest, "==")) {
    condition->op = Condition::Op::kEqual;
  } else if (TakeWord(&rest) == "in") {
    condition->op = Condition::Op::kWithin;
  } else {
    // A kernel that takes an int looks at 32 bits of the register, so that "not 5" lets 2^32 + 5 pass as 5.
    errors_->Add(line, at_operator,
                 absl::StrCat("expected == or in after ", argument,
                              "; no other comparison is safe where the kernel reads only 32 of the 64 bits"));
    return false;
  }
  const absl::string_view value = absl::StripLeadingAsciiWhitespace(rest);
  if (!ParseValue(line, value, &condition->value)) return false;
  if (condition->op == Condition::Op::kWithin && condition->value == std::numeric_limits<uint64_t>::max()) {
    errors_->Add(line, value, "every value is in this mask; leave the comparison out");
    return false;
  }
  return true;
}

bool StageParser::ParseValue(const Line& line, absl::string_view text, uint64_t* value) {
  *value = 0;
  for (const absl::string_view part : absl::StrSplit(text, '|')) {
    const absl::string_view term = absl::StripAsciiWhitespace(part);
    if (term.empty() || !std::all_of(term.begin(), term.end(), IsWordOctet)) {
      errors_->Add(line, term,
                   absl::StrCat("expected a number or a symbol, found ", Quoted(term),
                                absl::StartsWith(term, "-") ? "; write all 64 bits in hexadecimal" : ""));
      return false;
    }
    const bool numeric = absl::ascii_isdigit(term[0]);
    const std::optional<uint64_t> known = numeric ? ParseNumber(term) : SymbolValue(term);
    if (!known.has_value()) {
      errors_->Add(line, term,
                   numeric ? absl::StrCat("not a number of 64 bits, decimal or 0x...: ", Quoted(term))
                           : absl::StrCat("unknown symbol ", Quoted(term), DidYouMean(term, SymbolNames())));
      return false;
    }
    *value |= *known;
  }
  return true;
}

void StageParser::AddSyscall(const Line& line, absl::string_view name, const Rule* rule) {
  const absl::string_view at = name;
  const bool may_be_unknown = absl::ConsumePrefix(&name, "?");
  if (name.empty() || !std::all_of(name.begin(), name.end(), IsWordOctet)) {
    errors_->Add(line, at, absl::StrCat("expected the name of a system call, found ", Quoted(at)));
    return;
  }
  const int number = seccomp_syscall_resolve_name(std::string(name).c_str());
  if (number == __NR_SCMP_ERROR && !may_be_unknown) {
    errors_->Add(line, at, absl::StrCat("unknown syscall ", Quoted(name), DidYouMean(name, SyscallNames())));
    return;
  }
  if (stage_->syscalls.size() == kSyscallsMax) {
    errors_->Add(line, at, absl::StrCat("more than ", kSyscallsMax, " system calls"));
    return;
  }
  for (const Syscall& earlier : stage_->syscalls) {
    if (earlier.name != name) continue;
    errors_->Add(
        line, at,
        absl::StrCat(Quoted(name), " is stated twice in [syscalls ", name_, "], first on line ", earlier.line));
    return;
  }
  if (rule != nullptr && !Permitted(line, at, *rule)) rule = nullptr;
  // Kept even if its rule is wrong, so that stating it again is an error as well.
  Syscall syscall;
  syscall.name = std::string(name);
  syscall.number = number;
  syscall.line = line.number;
  if (rule != nullptr) {
    syscall.action = rule->action;
    syscall.error = rule->error;
    syscall.any_of = rule->any_of;
  }
  stage_->syscalls.push_back(std::move(syscall));
}

bool StageParser::Permitted(const Line& line, absl::string_view at, const Rule& rule) {
  const absl::string_view name = absl::StripPrefix(at, "?");
  // libseccomp answers EACCES for a rule like the default; to the reader it would suggest a difference.
  if (has_default_ && rule.any_of.empty() && rule.action == stage_->default_action) {
    errors_->Add(line, at, absl::StrCat("this rule for ", Quoted(name), " is the default of the section"));
    return false;
  }
  // libcrypto takes a changed process id for the sign of a fork, and reseeds.
  if ((name == "getpid" || name == "getrandom") && rule.action == Action::kErrno) {
    errors_->Add(line, at,
                 absl::StrCat("\"", name, ": return\" would blind ",
                              name == "getpid" ? "OpenSSL's fork check" : "OpenSSL's random numbers"));
    return false;
  }
  // Its arguments are behind a pointer, so flags cannot be checked; with ENOSYS the C library falls back to clone, with
  // another errno it fails.
  if (name == "clone3" && (rule.action != Action::kErrno || rule.error != ENOSYS)) {
    errors_->Add(line, at, "clone3 can only be \"return ENOSYS\": the filter cannot see its flags");
    return false;
  }
  return true;
}

}  // namespace postern::sandbox
