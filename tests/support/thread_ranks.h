// Ranks that are threads of one process: a communicator for tests that need no launcher.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "folio/comm/communicator.h"
#include "folio/kernels/kernels.h"
#include "folio/tensor/copy.h"

namespace folio {

/// Runs `body` on `count` ranks at once; throws what the first of them threw.
inline void on_ranks(int count, const std::function<void(Communicator&)>& body);

/// What the ranks of one on_ranks() share. A collective is known by its kind and number.
struct ThreadMeeting {
  struct Collective {
    std::map<int, Tensor> brought;  // by rank; kept until all have taken what they need
    int done = 0;                   // ranks that have
  };
  std::mutex mutex;
  std::map<std::string, Collective> collectives;
  bool failed = false;  // a rank has thrown, so the others must not wait
};

class ThreadRank : public Communicator {
 public:
  ThreadRank(ThreadMeeting& meeting, int rank, int size)
      : meeting_(meeting), rank_(rank), size_(size) {}

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string describe() const override { return "threads"; }

  Pending start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                               int contributors) override {
    return start("reduce", x,
                 [=, this, target = *sum.tensor,
                  accumulate = sum.accumulate](const std::map<int, Tensor>& brought) {
                   const SlabRange own = parts.of(rank_);
                   const Tensor received({contributors * own.size()}, target.dtype());
                   for (int r = 0; r < contributors; ++r) {
                     copy_tensor(received.view(r * own.size(), {own.size()}),
                                 brought.at(r).view(own.begin, {own.size()}));
                   }
                   kernels_for(Device::cpu)
                       .sum_over_ranks({&target, accumulate}, Tensor(), -1, received, contributors);
                 });
  }
  Pending start_all_gather(const Tensor& x, const Parts& parts) override {
    return start("gather", x, [=, this](const std::map<int, Tensor>& brought) {
      for (int r = 0; r < size_; ++r) {
        const SlabRange part = parts.of(r);
        const auto size = static_cast<int64_t>(size_of(x.dtype()));
        if (r == rank_) continue;
        std::memcpy(static_cast<std::byte*>(x.raw()) + part.begin * size,
                    static_cast<const std::byte*>(brought.at(r).raw()) + part.begin * size,
                    static_cast<size_t>(part.size() * size));
      }
    });
  }
  void broadcast(const Tensor& x, int root) override {
    start("talk", x, [=, this](const std::map<int, Tensor>& brought) {
      if (rank_ == root) return;
      std::memcpy(x.raw(), brought.at(root).raw(), static_cast<size_t>(x.bytes()));
    })->wait();
  }
  void barrier() override {
    start("talk", Tensor({1}, DType::i32), [](const auto&) {})->wait();
  }
  void set_timeout(double, const std::string&) override {}
  void set_step(int64_t) override {}
  [[noreturn]] void abort(int) override { throw std::runtime_error("abort"); }
  void finish() override { barrier(); }

 private:
  using Take = std::function<void(const std::map<int, Tensor>&)>;

  class Meeting : public Operation {
   public:
    Meeting(ThreadMeeting& meeting, std::string key, int size, Take take)
        : meeting_(meeting), key_(std::move(key)), size_(size), take_(std::move(take)) {}
    bool poll() override {
      const std::lock_guard lock(meeting_.mutex);
      if (meeting_.failed) throw std::runtime_error("another rank has failed");
      ThreadMeeting::Collective& collective = meeting_.collectives[key_];
      if (take_) {
        if (std::ssize(collective.brought) < size_) return false;
        take_(collective.brought);
        take_ = nullptr;
        if (++collective.done == size_) collective.brought.clear();
      }
      return collective.done == size_;  // so that nobody writes what another still reads
    }
    void wait() override {
      while (!poll()) std::this_thread::yield();
    }

   private:
    ThreadMeeting& meeting_;
    std::string key_;
    int size_;
    Take take_;
  };

  Pending start(const std::string& kind, const Tensor& x, Take take) {
    const std::string key = kind + std::to_string(counts_[kind]++);
    const std::lock_guard lock(meeting_.mutex);
    meeting_.collectives[key].brought[rank_] = x;
    return std::make_unique<Meeting>(meeting_, key, size_, std::move(take));
  }

  ThreadMeeting& meeting_;
  int rank_, size_;
  std::map<std::string, int64_t> counts_;
};

inline void on_ranks(int count, const std::function<void(Communicator&)>& body) {
  if (count == 1) return body(single_process());
  ThreadMeeting meeting;
  std::exception_ptr first;
  std::vector<std::thread> threads;
  for (int rank = 0; rank < count; ++rank) {
    threads.emplace_back([&, rank] {
      ThreadRank ranks(meeting, rank, count);
      try {
        body(ranks);
      } catch (...) {
        const std::lock_guard lock(meeting.mutex);
        if (!meeting.failed) first = std::current_exception();
        meeting.failed = true;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  if (first) std::rethrow_exception(first);
}

}  // namespace folio
