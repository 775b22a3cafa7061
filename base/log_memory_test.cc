// A log line for which there is no memory, in a file of its own: it replaces the allocator.
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdlib>
#include <new>
#include <string>

#include "base/log.h"
#include "base/unique_fd.h"

static bool no_memory = false;

void* operator new(size_t octets) {
  void* const memory = no_memory ? nullptr : malloc(octets);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}
void operator delete(void* memory) noexcept { free(memory); }
void operator delete(void* memory, size_t) noexcept { free(memory); }

namespace postern::base {
namespace {

TEST(LogMemoryTest, WithoutMemoryARecordIsLostAndNothingElse) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends), 0);
  const UniqueFd reader(ends[0]);
  SetLogSocket(UniqueFd(ends[1]));
  {
    Event event("lost");
    no_memory = true;
  }
  no_memory = false;
  Event("next");
  char record[1024];
  const ssize_t octets = recv(reader.get(), record, sizeof record, MSG_DONTWAIT);
  ASSERT_GT(octets, static_cast<ssize_t>(kLogStampOctets));
  EXPECT_EQ(std::string(record + kLogStampOctets, record + octets), "ev=next dropped=1");
  SetLogSocket(UniqueFd());
}

}  // namespace
}  // namespace postern::base
