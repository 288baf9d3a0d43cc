#include "folio/comm/mpi.h"

#include <fmt/core.h>
#include <mpi.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include "folio/kernels/kernels.h"
#include "folio/tensor/error.h"

namespace folio {
namespace {

using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

void check(int code, std::string_view call) {
  if (code == MPI_SUCCESS) return;
  char text[MPI_MAX_ERROR_STRING];
  int length = 0;
  MPI_Error_string(code, text, &length);
  fail("MPI",
       fmt::format("{} failed: {}", call, std::string_view(text, static_cast<size_t>(length))));
}

MPI_Datatype type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return MPI_FLOAT;
    case DType::bf16:
      return MPI_UINT16_T;  // for transport; sum_over_ranks adds
    case DType::i32:
      return MPI_INT32_T;
    case DType::f64:
      return MPI_DOUBLE;
  }
  return MPI_BYTE;
}

/// MPI's counts are of type int.
int count_of(int64_t elements) {
  FOLIO_CHECK(elements <= INT32_MAX, "MPI",
              "a message of {} elements exceeds MPI's limit of {}; use smaller buckets", elements,
              INT32_MAX);
  return static_cast<int>(elements);
}

class MpiCommunicator final : public HostCommunicator {
 public:
  MpiCommunicator();

  int rank() const override { return rank_; }
  int size() const override { return size_; }
  std::string describe() const override;

  Pending start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                               int contributors) override;
  Pending start_all_gather(const Tensor& x, const Parts& parts) override;
  void broadcast(const Tensor& x, int root) override;
  void barrier() override;

  void set_timeout(double seconds, const std::string& setting) override {
    timeout_ = seconds;
    timeout_setting_ = setting;
  }
  void set_step(int64_t step) override { step_ = step; }
  [[noreturn]] void abort(int exit_code) override;
  void finish() override;

  void wait_for(const std::function<bool()>& done, std::string_view name) override;

 private:
  void announce_waiting();
  void receive_announcements();
  [[noreturn]] void abort_after_timeout(double waited, std::string_view name);

  int rank_ = 0, size_ = 1;
  // MPI matches the collectives of one communicator by the order in which they are started, so
  // collectives that can overlap have a communicator each.
  MPI_Comm reduce_, gather_, blocking_, announcements_;
  std::vector<std::string> names_;  // of the ranks: "rank 2 of 4 (host, process 123)"
  double timeout_ = 600.0;          // until the config is known
  std::string timeout_setting_ = "the default";
  int64_t step_ = 0;
  bool announced_ = false;
  std::vector<bool> waiting_;  // the ranks that have announced it
};

/// A request, the function to call when it is complete, and the memory that it needs until then.
class Transfer final : public Operation {
 public:
  Transfer(MpiCommunicator& ranks, std::string_view name, std::vector<Tensor> tensors)
      : ranks_(ranks), name_(name), tensors_(std::move(tensors)) {}
  ~Transfer() override {
    // Abandoned after an error, which ends the process. Until then MPI may use the memory.
    if (!done_) new std::vector<Tensor>(std::move(tensors_));
  }

  bool poll() override {
    if (done_) return true;
    int complete = 0;
    check(MPI_Test(&request, &complete, MPI_STATUS_IGNORE), name_);
    if (complete == 0) return false;
    if (then) then();
    tensors_.clear();
    return done_ = true;
  }
  void wait() override {
    ranks_.wait_for([this] { return poll(); }, name_);
  }

  MPI_Request request = MPI_REQUEST_NULL;
  std::function<void()> then;
  std::vector<int> send_counts, send_places, counts, places;  // MPI reads them until then

 private:
  MpiCommunicator& ranks_;
  std::string_view name_;
  std::vector<Tensor> tensors_;
  bool done_ = false;
};

MpiCommunicator::MpiCommunicator() {
  int provided = 0;
  check(MPI_Init_thread(nullptr, nullptr, MPI_THREAD_FUNNELED, &provided), "MPI_Init_thread");
  FOLIO_CHECK(provided >= MPI_THREAD_FUNNELED, "MPI",
              "this library does not support threads; build Folio with another MPI");
  MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
  check(MPI_Comm_rank(MPI_COMM_WORLD, &rank_), "MPI_Comm_rank");
  check(MPI_Comm_size(MPI_COMM_WORLD, &size_), "MPI_Comm_size");
  for (MPI_Comm* copy : {&reduce_, &gather_, &blocking_, &announcements_}) {
    check(MPI_Comm_dup(MPI_COMM_WORLD, copy), "MPI_Comm_dup");
  }
  waiting_.assign(static_cast<size_t>(size_), false);
  char host[MPI_MAX_PROCESSOR_NAME];
  int length = 0;
  check(MPI_Get_processor_name(host, &length), "MPI_Get_processor_name");
  names_ = all_gather_text(
      fmt::format("rank {} of {} ({}, process {})", rank_, size_, host, ::getpid()));
}

std::string MpiCommunicator::describe() const {
  char text[MPI_MAX_LIBRARY_VERSION_STRING];
  int length = 0;
  MPI_Get_library_version(text, &length);
  const std::string version(text, static_cast<size_t>(length));
  return version.substr(0, version.find(','));
}

// Each rank sends every other rank its part, and adds the parts that it receives in the order of
// ranks. This moves as many bytes as a ring, (N - 1) / N of x for each rank.
Pending MpiCommunicator::start_reduce_scatter(GradTarget sum, const Tensor& x, const Parts& parts,
                                              int contributors) {
  const SlabRange own = parts.of(rank_);
  const int64_t size = own.size();
  const Tensor received({std::max<int64_t>(size * contributors, 1)}, x.dtype());
  auto transfer = std::make_unique<Transfer>(*this, "reduce_scatter",
                                             std::vector<Tensor>{x, received, *sum.tensor});
  for (int r = 0; r < size_; ++r) {
    const SlabRange part = parts.of(r);
    const bool to_send = r != rank_ && rank_ < contributors;
    const bool to_receive = r != rank_ && r < contributors;
    transfer->send_counts.push_back(to_send ? count_of(part.size()) : 0);
    transfer->send_places.push_back(count_of(part.begin));
    transfer->counts.push_back(to_receive ? count_of(size) : 0);
    transfer->places.push_back(to_receive ? count_of(r * size) : 0);
  }
  transfer->then = [target = *sum.tensor, accumulate = sum.accumulate,
                    own = x.view(own.begin, {size}), received, rank = rank_, contributors] {
    kernels_for(Device::cpu)
        .sum_over_ranks({&target, accumulate}, own, rank, received, contributors);
  };
  check(MPI_Ialltoallv(x.raw(), transfer->send_counts.data(), transfer->send_places.data(),
                       type_of(x.dtype()), received.raw(), transfer->counts.data(),
                       transfer->places.data(), type_of(x.dtype()), reduce_, &transfer->request),
        "MPI_Ialltoallv");
  return transfer;
}

Pending MpiCommunicator::start_all_gather(const Tensor& x, const Parts& parts) {
  auto transfer = std::make_unique<Transfer>(*this, "all_gather", std::vector<Tensor>{x});
  for (int r = 0; r < size_; ++r) {
    const SlabRange part = parts.of(r);
    transfer->counts.push_back(count_of(part.size()));
    transfer->places.push_back(count_of(part.begin));
  }
  check(MPI_Iallgatherv(MPI_IN_PLACE, 0, MPI_DATATYPE_NULL, x.raw(), transfer->counts.data(),
                        transfer->places.data(), type_of(x.dtype()), gather_, &transfer->request),
        "MPI_Iallgatherv");
  return transfer;
}

void MpiCommunicator::broadcast(const Tensor& x, int root) {
  constexpr int64_t most = int64_t{1} << 26;  // elements a message
  for (int64_t first = 0; first < x.numel(); first += most) {
    Transfer transfer(*this, "broadcast", {x});
    const Tensor part = x.view(first, {std::min(most, x.numel() - first)});
    check(MPI_Ibcast(part.raw(), count_of(part.numel()), type_of(x.dtype()), root, blocking_,
                     &transfer.request),
          "MPI_Ibcast");
    transfer.wait();
  }
}

void MpiCommunicator::barrier() {
  Transfer transfer(*this, "barrier", {});
  check(MPI_Ibarrier(blocking_, &transfer.request), "MPI_Ibarrier");
  transfer.wait();
}

// --- timeouts -----------------------------------------------------------------------------------

// A long wait sleeps between polls, because other ranks may need the processors.
void MpiCommunicator::wait_for(const std::function<bool()>& done, std::string_view name) {
  const auto start = Clock::now();
  while (!done()) {
    const double waited = seconds_since(start);
    if (waited < 0.001) {
      std::this_thread::yield();
      continue;
    }
    std::this_thread::sleep_for(waited < 0.1 ? 50us : 500us);
    if (waited > 0.2) receive_announcements();
    if (timeout_ > 0.0 && waited > timeout_) abort_after_timeout(waited, name);
  }
}

/// Tells the other ranks that this rank waits.
void MpiCommunicator::announce_waiting() {
  static const int nothing = 0;
  for (int r = 0; r < size_; ++r) {
    if (r == rank_) continue;
    MPI_Request request;
    check(MPI_Isend(&nothing, 1, MPI_INT, r, 0, announcements_, &request), "MPI_Isend");
    MPI_Request_free(&request);
  }
  waiting_[static_cast<size_t>(rank_)] = true;
  announced_ = true;
}

/// Notes which other ranks wait, and answers them.
void MpiCommunicator::receive_announcements() {
  for (;;) {
    int there = 0, nothing = 0;
    MPI_Status status;
    check(MPI_Iprobe(MPI_ANY_SOURCE, 0, announcements_, &there, &status), "MPI_Iprobe");
    if (there == 0) return;
    check(MPI_Recv(&nothing, 1, MPI_INT, status.MPI_SOURCE, 0, announcements_, MPI_STATUS_IGNORE),
          "MPI_Recv");
    waiting_[static_cast<size_t>(status.MPI_SOURCE)] = true;
    if (!announced_) announce_waiting();
  }
}

/// Finds out which ranks do not wait, prints them, and aborts all ranks.
void MpiCommunicator::abort_after_timeout(double waited, std::string_view name) {
  if (!announced_) announce_waiting();
  const auto listen = [&](Clock::duration time) {
    for (const auto start = Clock::now(); Clock::now() - start < time;) {
      receive_announcements();
      std::this_thread::sleep_for(1ms);
    }
  };
  listen(1500ms);
  std::string missing;
  for (int r = 0; r < size_; ++r) {
    if (waiting_[static_cast<size_t>(r)]) continue;
    missing += fmt::format("{}{}", missing.empty() ? "" : " and ", names_[static_cast<size_t>(r)]);
  }
  // The first waiting rank prints the error. The others abort only if it does not.
  const auto first = std::ranges::find(waiting_, true) - waiting_.begin();
  if (first != rank_) listen(2s);
  const std::string what =
      missing.empty()
          ? "all ranks wait for each other: messages were lost, or their programs differ"
          : fmt::format("{}: silent, while the other ranks wait for it", missing);
  const bool trains = step_ > 0;
  std::fflush(stdout);
  std::fputs(fmt::format("folio: error: {} in {}{} for {:.0f} s, longer than {}; all ranks are "
                         "ended{}\n",
                         what, name, trains ? fmt::format(" in step {}", step_) : "", waited,
                         timeout_setting_,
                         trains ? ", the last checkpoint is whole: continue with --resume" : "")
                 .c_str(),
             stderr);
  abort(1);
}

void MpiCommunicator::abort(int exit_code) {
  std::fflush(nullptr);
  MPI_Abort(MPI_COMM_WORLD, exit_code);
  std::_Exit(exit_code);
}

void MpiCommunicator::finish() {
  barrier();
  check(MPI_Finalize(), "MPI_Finalize");
}

}  // namespace

std::unique_ptr<HostCommunicator> make_mpi_communicator() {
  return std::make_unique<MpiCommunicator>();
}

}  // namespace folio
