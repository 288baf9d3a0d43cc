#include "folio/io/stop_signal.h"

#include <gtest/gtest.h>
#include <signal.h>

namespace folio {
namespace {

void (*handler_of(int signal))(int) {
  struct sigaction action;
  ::sigaction(signal, nullptr, &action);
  return action.sa_handler;
}

/// Signals as a terminal gives them, while the object lives.
class Defaults {
 public:
  Defaults() : interrupt_(::signal(SIGINT, SIG_DFL)), terminate_(::signal(SIGTERM, SIG_DFL)) {}
  ~Defaults() {
    ::signal(SIGINT, interrupt_);
    ::signal(SIGTERM, terminate_);
  }

 private:
  void (*interrupt_)(int);
  void (*terminate_)(int);
};

TEST(StopSignal, IsNotedWhileTheObjectLives) {
  const Defaults defaults;
  for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
    const StopSignal stop;
    EXPECT_FALSE(stop.requested());
    testing::internal::CaptureStdout();
    ::raise(signal);
    testing::internal::GetCapturedStdout();
    EXPECT_TRUE(stop.requested());
  }
  EXPECT_EQ(handler_of(SIGINT), SIG_DFL);
  EXPECT_EQ(handler_of(SIGTERM), SIG_DFL);
}

// A handler on the stack of a product by oneDNN destroys the heap: see stop_signal.cpp.
TEST(StopSignal, IsHandledOnAStackOfItsOwn) {
  const Defaults defaults;
  stack_t before, during, after;
  ::sigaltstack(nullptr, &before);
  {
    const StopSignal stop;
    for (int signal : {SIGINT, SIGTERM, SIGHUP, SIGUSR1}) {
      struct sigaction action;
      ::sigaction(signal, nullptr, &action);
      EXPECT_NE(action.sa_flags & SA_ONSTACK, 0) << signal;
    }
    ::sigaltstack(nullptr, &during);
    EXPECT_EQ(during.ss_flags & SS_DISABLE, 0);
  }
  ::sigaltstack(nullptr, &after);
  EXPECT_EQ(after.ss_flags, before.ss_flags);
}

TEST(StopSignal, TheSecondInterruptFindsNoHandler) {
  const Defaults defaults;
  const StopSignal stop;
  testing::internal::CaptureStdout();
  ::raise(SIGTERM);
  ::raise(SIGTERM);  // schedulers repeat it
  ::raise(SIGINT);
  testing::internal::GetCapturedStdout();
  EXPECT_EQ(handler_of(SIGINT), SIG_DFL);
  EXPECT_NE(handler_of(SIGTERM), SIG_DFL);
}

TEST(StopSignal, WhatWasIgnoredStaysIgnored) {
  const Defaults defaults;
  ::signal(SIGINT, SIG_IGN);
  {
    const StopSignal stop;
    ::raise(SIGINT);
    EXPECT_FALSE(stop.requested());
  }
  EXPECT_EQ(handler_of(SIGINT), SIG_IGN);
}

}  // namespace
}  // namespace folio
