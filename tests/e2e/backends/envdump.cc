// A backend that tells what it was started with and ends. Not a script: an interpreter would set up signals, variables
// and descriptors of its own. One fact a line, a lone dot at the end:
//   +OK facts / arg TEXT / env NAME=VALUE / fd N DEVICE:INODE KIND FLAGS / cwd PATH / umask OCTAL / status LINE of
//   /proc
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <cstring>

extern char** environ;

namespace {

constexpr int kFdsMax = 4096;

const char* Kind(mode_t mode) {
  if (S_ISSOCK(mode)) return "socket";
  if (S_ISFIFO(mode)) return "pipe";
  if (S_ISCHR(mode)) return "device";
  if (S_ISDIR(mode)) return "directory";
  return S_ISREG(mode) ? "file" : "other";
}

void PrintDescriptors() {
  for (int fd = 0; fd < kFdsMax; ++fd) {
    struct stat facts;
    if (fstat(fd, &facts) != 0) continue;
    std::printf("fd %d %lu:%lu %s %d\r\n", fd, static_cast<unsigned long>(facts.st_dev),
                static_cast<unsigned long>(facts.st_ino), Kind(facts.st_mode), fcntl(fd, F_GETFL));
  }
}

void PrintStatus() {
  std::FILE* status = std::fopen("/proc/self/status", "re");
  if (status == nullptr) return;
  char line[1024];
  while (std::fgets(line, sizeof line, status) != nullptr)
    std::printf("status %.*s\r\n", static_cast<int>(std::strcspn(line, "\n")), line);
  std::fclose(status);
}

}  // namespace

int main(int argc, char** argv) {
  std::printf("+OK facts\r\n");
  PrintDescriptors();
  for (int i = 0; i < argc; ++i) std::printf("arg %s\r\n", argv[i]);
  for (char** variable = environ; *variable != nullptr; ++variable) std::printf("env %s\r\n", *variable);
  char cwd[PATH_MAX];
  std::printf("cwd %s\r\n", getcwd(cwd, sizeof cwd) != nullptr ? cwd : "");
  const mode_t mask = umask(0);
  std::printf("umask %o\r\n", static_cast<unsigned>(mask));
  std::printf("session %d\r\ngroup %d\r\n", static_cast<int>(getsid(0) == getpid()),
              static_cast<int>(getpgrp() == getpid()));
  PrintStatus();
  std::printf(".\r\n");
  return 0;
}
