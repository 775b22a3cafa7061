#ifndef POSTERN_SANDBOX_RULES_H_
#define POSTERN_SANDBOX_RULES_H_

#include <string>

#include "sandbox/errors.h"
#include "sandbox/policy.h"

namespace postern::sandbox {

// Parses the lines of one [syscalls NAME] section, in order, into `stage`.
class StageParser {
 public:
  // Both outlive the parser. `name` is for messages.
  StageParser(absl::string_view name, Stage* stage, Errors* errors) : name_(name), stage_(stage), errors_(errors) {}

  // One line that is not empty: "@default kill", or "name, ?name: rule".
  void Parse(const Line& line);
  bool has_default() const { return has_default_; }

 private:
  struct Rule {
    Action action = Action::kAllow;
    int error = 0;
    std::vector<std::vector<Condition>> any_of;
  };

  void ParseDirective(const Line& line, absl::string_view text);
  bool ParseRule(const Line& line, absl::string_view text, Rule* rule);
  bool ParseExpression(const Line& line, absl::string_view text, Rule* rule);
  bool ParseConjunction(const Line& line, absl::string_view text, std::vector<Condition>* conjunction);
  bool ParseComparison(const Line& line, absl::string_view text, Condition* condition);
  bool ParseValue(const Line& line, absl::string_view text, uint64_t* value);
  void AddSyscall(const Line& line, absl::string_view name, const Rule* rule);
  bool Permitted(const Line& line, absl::string_view name, const Rule& rule);

  std::string name_;
  Stage* stage_;
  Errors* errors_;
  bool has_default_ = false;
  bool missing_default_said_ = false;
};

}  // namespace postern::sandbox

#endif  // POSTERN_SANDBOX_RULES_H_
