#ifndef POSTERN_BASE_UNIQUE_FD_H_
#define POSTERN_BASE_UNIQUE_FD_H_

#include <unistd.h>

#include <utility>

namespace postern::base {

// Owns one file descriptor and closes it. A parameter of type `int fd` is borrowed; a UniqueFd is handed over.
class UniqueFd {
 public:
  UniqueFd() = default;
  explicit UniqueFd(int fd) : fd_(fd) {}
  UniqueFd(UniqueFd&& other) noexcept : fd_(other.Release()) {}
  UniqueFd& operator=(UniqueFd&& other) noexcept {
    if (this != &other) Reset(other.Release());
    return *this;
  }
  ~UniqueFd() { Reset(); }

  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }

  // Gives the descriptor up without closing it.
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }
  // Closes what is owned and takes `fd`. close() is not repeated on EINTR: Linux has freed the number by then.
  void Reset(int fd = -1) {
    if (fd_ >= 0) close(fd_);
    fd_ = fd;
  }

 private:
  int fd_ = -1;
};

}  // namespace postern::base

#endif  // POSTERN_BASE_UNIQUE_FD_H_
