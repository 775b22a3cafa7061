// probe: starts a backend only to be asked what it can do, before any client is there. The supervisor starts one for
// each service whose capabilities are not configured, in the cage of policies/probe.policy, and kills it when the
// broker has asked: it is pid 1 of a PID namespace, so whatever the backend has started goes as well. The backend finds
// what a user who has just logged in would have, an empty mailbox, in a home that is gone with it.
//
// Descriptors, by name: log, stream (the backend's 0 and 1), stderr (its 2).

#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "backendlauncher/confine.h"
#include "backendlauncher/environment.h"
#include "base/log.h"
#include "base/process.h"
#include "base/status_macros.h"
#include "role/role.h"

namespace postern::backendlauncher {
namespace {

constexpr char kUser[] = "probe";
constexpr unsigned kLifeSeconds = 30;  // for a supervisor that dies before the kernel was told to kill us with it
// Addresses that say "nobody from outside". The ports are any: programs want that there are some.
constexpr ipc::Address kClient = {4, 49152, {127, 0, 0, 1}}, kServer = {4, 110, {127, 0, 0, 1}};

struct Command {
  std::vector<std::string> backend, environment;
  Confinement confinement;
  bool logged_in = false;  // it is a program behind checkpassword
};

absl::StatusOr<Command> ReadCommand(const role::Options& options) {
  Command command;
  for (const auto& [name, value] : options) {
    if (name == "backend") command.backend.push_back(value);
    if (name == "environment") command.environment.push_back(value);
    if (name == "login") command.logged_in = value == "checkpassword";
    if (name == "confinement") {
      ASSIGN_OR_RETURN(command.confinement, FromWord(value));
    }
  }
  if (command.backend.empty()) return absl::InvalidArgumentError("--backend is missing");
  return command;
}

// A maildir where the command's last word may name one ("Maildir", "./Maildir/"): in the working directory or below it.
absl::Status MakeMailbox(const std::string& word) {
  const std::vector<std::string> names = absl::StrSplit(word, '/', absl::SkipEmpty());
  const bool below = !word.empty() && word[0] != '/' && word[0] != '-' &&
                     std::none_of(names.begin(), names.end(), [](const std::string& name) { return name == ".."; });
  if (!below) return absl::OkStatus();
  const auto make = [](const std::string& directory) {
    return mkdir(directory.c_str(), 0700) == 0 || errno == EEXIST ? absl::OkStatus()
                                                                  : absl::ErrnoToStatus(errno, directory);
  };
  std::string path = ".";
  for (const std::string& name : names) {
    absl::StrAppend(&path, "/", name);
    RETURN_IF_ERROR(make(path));
  }
  for (const char* name : {"cur", "new", "tmp"}) RETURN_IF_ERROR(make(absl::StrCat(path, "/", name)));
  return absl::OkStatus();
}

// As begin has it after a login, and the launcher for a backend that does the login itself: in clear text.
std::vector<std::string> Environment(const Command& command, const std::string& home) {
  std::vector<std::string> environment = BuildEnvironment(kClient, kServer, {});
  if (command.logged_in)
    for (const char* name : {"USER", "AUTHENTICATED", "AUTHADDR"})
      environment.push_back(absl::StrCat(name, "=", kUser));
  if (command.logged_in) environment.insert(environment.end(), {absl::StrCat("HOME=", home), "SHELL=/bin/sh"});
  environment.insert(environment.end(), command.environment.begin(), command.environment.end());
  return environment;
}

std::vector<char*> Pointers(const std::vector<std::string>& strings) {
  std::vector<char*> pointers;
  for (const std::string& string : strings) pointers.push_back(const_cast<char*>(string.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

// In a child, so that the backend is an ordinary process, with pid 1 as its parent, as it is behind the launcher.
[[noreturn]] void RunBackend(const Command& command, const std::vector<std::string>& environment, int stream,
                             int stderr_fd) {
  const std::vector<char*> arguments = Pointers(command.backend), variables = Pointers(environment);
  setsid();
  const bool placed = dup2(stream, STDIN_FILENO) == STDIN_FILENO && dup2(stream, STDOUT_FILENO) == STDOUT_FILENO &&
                      dup2(stderr_fd, STDERR_FILENO) == STDERR_FILENO;
  int error = placed ? Confine(command.confinement) : errno;
  if (error == 0) {
    execve(arguments[0], arguments.data(), variables.data());
    error = errno;
  }
  base::Event("exec_failed").Add("program", command.backend[0]).Add("errno", error);
  _exit(base::kExitTemporary);
}

// Until the backend has ended. Its orphans are ours.
void WaitFor(pid_t backend) {
  while (true) {
    const pid_t ended = waitpid(-1, nullptr, 0);
    if (ended == backend || (ended < 0 && errno != EINTR)) return;
  }
}

absl::Status Run(int argc, char** argv) {
  ASSIGN_OR_RETURN(role::Start start, role::Begin(argc, argv, {"login", "confinement", "environment", "backend"}));
  ASSIGN_OR_RETURN(const Command command, ReadCommand(start.options));
  base::UniqueFd stream = start.fds.Take("stream"), stderr_fd = start.fds.Take("stderr");
  RETURN_IF_ERROR(start.fds.Finished());
  const std::string& home = start.policy.tmpfs;
  if (home.empty()) return absl::FailedPreconditionError(absl::StrCat(start.policy.name, ": there is no tmpfs"));
  if (chdir(home.c_str()) != 0) return absl::ErrnoToStatus(errno, home);
  RETURN_IF_ERROR(MakeMailbox(command.backend.back()));

  const std::vector<std::string> environment = Environment(command, home);
  const pid_t backend = fork();
  if (backend < 0) return absl::UnavailableError("fork");
  if (backend == 0) RunBackend(command, environment, stream.get(), stderr_fd.get());
  stream.Reset();  // its end of file is the backend's to cause
  // Not by the default action, which the kernel withholds from pid 1.
  signal(SIGALRM, [](int) { _exit(base::kExitTemporary); });
  alarm(kLifeSeconds);
  WaitFor(backend);
  return absl::OkStatus();
}

}  // namespace
}  // namespace postern::backendlauncher

int main(int argc, char** argv) { return postern::base::Finish(postern::backendlauncher::Run(argc, argv)); }
