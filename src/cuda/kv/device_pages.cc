#include "cuda/kv/device_pages.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "core/check.h"
#include "cuda/smxx/convert/convert.h"
#include "cuda/smxx/kv/pages.h"

namespace tca::cuda {
namespace {

constexpr std::size_t kLeastChunk = std::size_t{32} << 20;

struct DevicePage : KvPage {
  std::int32_t positions[kPageTokens];
};

std::int32_t checked(std::int32_t head_dim, DType dtype) {
  check_supported(head_dim == 64 || head_dim == 96 || head_dim == 128 || head_dim == 256, "head_dim is ", head_dim,
                  "; the cuda backend supports 64, 96, 128, 256");
  check_supported(dtype != DType::kF32, "the KV pool's dtype is fp32; the cuda backend supports bf16, fp16");
  return head_dim;
}

std::size_t round_up(std::size_t n, std::size_t unit) { return (n + unit - 1) / unit * unit; }

/// Whole pages, whole units of the driver's.
std::size_t chunk_size(int device, std::size_t page_bytes) {
  const std::size_t unit = VirtualRange::granularity(device);
  std::size_t bytes = round_up(kLeastChunk, unit);
  while (bytes % page_bytes != 0) bytes += unit;
  return bytes;
}

/// Chunks of the budget, or of the whole GPU when that is less.
std::size_t chunk_count(int device, std::size_t budget, std::size_t chunk_bytes) {
  const DeviceGuard guard(device);
  std::size_t free_bytes = 0, total = 0;
  check(cudaMemGetInfo(&free_bytes, &total), "asking for its memory");
  return std::max<std::size_t>(1, (std::min(budget, total) + chunk_bytes - 1) / chunk_bytes);
}

std::size_t page_size(std::int32_t head_dim) {
  return std::size_t{2} * kPageTokens * static_cast<std::size_t>(head_dim) * 2;
}

/// Places of one upload, in bytes; every part begins at a multiple of 16.
struct Packing {
  std::size_t bytes = 0;
  std::size_t add(std::size_t n) {
    const std::size_t at = bytes;
    bytes += round_up(n, 16);
    return at;
  }
};

bool fits_kernels(const TensorView& view, DType dtype) {
  return view.dtype == dtype && reinterpret_cast<std::uintptr_t>(view.data) % 16 == 0 && view.token_stride % 8 == 0 &&
         view.head_stride % 8 == 0;
}

/// Of chunk c of row r in a page's K or V (SwizzledRows), in bytes from the row's beginning.
std::size_t swizzled(std::int64_t row, std::size_t chunk, std::int32_t head_dim) {
  const std::size_t mask = head_dim / 8 % 8 == 0 ? 7 : 3;
  return (chunk ^ (static_cast<std::size_t>(row) & mask)) * 16;
}

}  // namespace

DevicePages::DevicePages(std::shared_ptr<Device> pool_device, std::size_t pool_budget, std::int32_t pool_head_dim,
                         DType pool_dtype)
    : KvPages(pool_budget, checked(pool_head_dim, pool_dtype), pool_dtype, PageLayout::kSwizzled),
      device_(std::move(pool_device)),
      chunk_bytes_(chunk_size(device_->ordinal(), page_size(pool_head_dim))),
      pages_per_chunk_(chunk_bytes_ / page_size(pool_head_dim)),
      range_(device_->ordinal(), chunk_bytes_, chunk_count(device_->ordinal(), pool_budget, chunk_bytes_)),
      chunks_(range_.num_chunks()) {
  page_bytes = page_size(pool_head_dim);
}

DevicePages::~DevicePages() {
  // Kernels may still read pages that nobody owns any more.
  const DeviceGuard guard(device_->ordinal());
  (void)cudaStreamSynchronize(device_->stream());
}

std::int32_t* DevicePages::positions(KvPage* page) const noexcept { return static_cast<DevicePage*>(page)->positions; }
std::byte* DevicePages::address(const KvPage* page) const noexcept {
  return range_.base() + static_cast<std::size_t>(page->number) * page_bytes;
}
const void* DevicePages::k(const KvPage* page) const noexcept { return address(page); }
const void* DevicePages::v(const KvPage* page) const noexcept { return address(page) + page_bytes / 2; }

std::size_t DevicePages::mapped_bytes() const {
  const std::lock_guard lock(mutex_);
  std::size_t bytes = 0;
  for (std::size_t c = 0; c < chunks_.size(); ++c) bytes += range_.is_mapped(c) ? chunk_bytes_ : 0;
  return bytes;
}

KvPage* DevicePages::allocate() noexcept {
  auto* const page = new (std::nothrow) DevicePage;
  if (page == nullptr) return nullptr;
  const std::lock_guard lock(mutex_);
  while (lowest_ < chunks_.size() && range_.is_mapped(lowest_) && chunks_[lowest_].free.empty()) ++lowest_;
  // An unmapped chunk may lie before a mapped one with free pages: those first.
  std::size_t chunk = lowest_;
  while (chunk < chunks_.size() && chunks_[chunk].free.empty()) ++chunk;
  if (chunk == chunks_.size()) {
    chunk = lowest_;
    while (chunk < chunks_.size() && range_.is_mapped(chunk)) ++chunk;
    const DeviceGuard guard(device_->ordinal());
    if (chunk == chunks_.size() || !map(chunk)) {
      delete page;
      return nullptr;
    }
  }
  page->number = chunks_[chunk].free.back();
  chunks_[chunk].free.pop_back();
  return page;
}

/// Memory and page numbers, or neither.
bool DevicePages::map(std::size_t chunk) noexcept {
  std::vector<std::int32_t>& free = chunks_[chunk].free;
  try {
    free.reserve(pages_per_chunk_);
  } catch (const std::bad_alloc&) {
    return false;
  }
  if (!range_.map(chunk)) return false;
  for (std::size_t i = pages_per_chunk_; i > 0; --i) {
    free.push_back(static_cast<std::int32_t>(chunk * pages_per_chunk_ + i - 1));
  }
  return true;
}

void DevicePages::deallocate(KvPage* page) noexcept {
  const std::lock_guard lock(mutex_);
  const std::size_t chunk = static_cast<std::size_t>(page->number) / pages_per_chunk_;
  chunks_[chunk].free.push_back(page->number);  // has room for all of its pages
  delete static_cast<DevicePage*>(page);
  lowest_ = std::min(lowest_, chunk);
  if (!is_empty(chunk)) return;
  // One empty chunk stays, so that a page that comes and goes costs nothing; of two the higher one goes.
  std::size_t other = 0;
  while (other < chunks_.size() && (other == chunk || !range_.is_mapped(other) || !is_empty(other))) ++other;
  if (other == chunks_.size()) return;
  const DeviceGuard guard(device_->ordinal());
  if (cudaStreamSynchronize(device_->stream()) != cudaSuccess) return;  // queued kernels may read it
  const std::size_t gone = std::max(chunk, other);
  range_.unmap(gone);
  chunks_[gone].free.clear();
}

void DevicePages::pack_rows(const TensorView& from, std::span<const KvWrite> writes, std::byte* to) const {
  for (std::size_t h = 0; h < writes.size(); ++h) {
    for (std::int64_t i = 0; i < writes[h].held.count; ++i, to += row_bytes) {
      copy_row(from.row(writes[h].held[i], static_cast<std::int64_t>(h)), from.dtype, to);
    }
  }
}

void DevicePages::check_rows(const TensorView& k_rows, const TensorView& v_rows) const {
  check_argument(device_->holds(k_rows.data, "store: k") == device_->holds(v_rows.data, "store: v"),
                 "store: k and v lie in different memories; expected both in host memory or both in the GPU's");
}

void DevicePages::write(const TensorView& k_rows, const TensorView& v_rows, std::span<const KvWrite> writes) {
  Device& device = *device_;
  const DeviceGuard guard(device.ordinal());
  const auto heads = static_cast<std::int32_t>(writes.size());
  if (device.holds(k_rows.data, "store: k")) {
    if (fits_kernels(k_rows, dtype) && fits_kernels(v_rows, dtype)) return write_heads(k_rows, v_rows, writes);
    const std::size_t bytes = static_cast<std::size_t>(k_rows.num_tokens * heads) * row_bytes;
    MemoryBlock block(device.memory());
    auto* const rows = static_cast<std::byte*>(block.reserve(2 * bytes));
    const MutableTensorView k_there = contiguous(rows, dtype, k_rows.num_tokens, heads, head_dim);
    const MutableTensorView v_there = contiguous(rows + bytes, dtype, k_rows.num_tokens, heads, head_dim);
    check(convert(k_rows, k_there, device.stream()), "converting keys");
    check(convert(v_rows, v_there, device.stream()), "converting values");
    return write_heads(k_there, v_there, writes);
  }
  // What is held travels, nothing else.
  std::int64_t held = 0;
  std::vector<KvWrite> packed(writes.begin(), writes.end());
  for (KvWrite& w : packed) {
    w.held = {.window_begin = held, .count = w.held.count};
    held += w.held.count;
  }
  if (held == 0) return;
  const std::size_t bytes = static_cast<std::size_t>(held) * row_bytes;
  std::vector<std::byte> host(bytes);
  MemoryBlock block(device.memory());
  auto* const rows = static_cast<std::byte*>(block.reserve(2 * bytes));
  pack_rows(k_rows, writes, host.data());
  device.upload(rows, host.data(), bytes);
  pack_rows(v_rows, writes, host.data());
  device.upload(rows + bytes, host.data(), bytes);
  const auto view = [&](const std::byte* data) {
    return TensorView{.data = data,
                      .dtype = dtype,
                      .num_tokens = held,
                      .num_heads = heads,
                      .head_dim = head_dim,
                      .token_stride = head_dim,
                      .head_stride = 0};
  };
  write_heads(view(rows), view(rows + bytes), packed);
}

void DevicePages::write_heads(const TensorView& k_rows, const TensorView& v_rows, std::span<const KvWrite> writes) {
  std::vector<HeadWrite> heads;
  std::vector<std::int32_t> numbers, chosen;
  std::int64_t most = 0;
  for (const KvWrite& w : writes) {
    heads.push_back({.pages = static_cast<std::int64_t>(numbers.size()),
                     .chosen = static_cast<std::int64_t>(chosen.size()),
                     .num_chosen = static_cast<std::int32_t>(w.held.num_chosen),
                     .window_begin = static_cast<std::int32_t>(w.held.window_begin),
                     .count = static_cast<std::int32_t>(w.held.count),
                     .first_slot = static_cast<std::int32_t>(w.first_slot)});
    const std::int64_t pages = w.held.count == 0 ? 0 : (w.first_slot + w.held.count + kPageTokens - 1) / kPageTokens;
    for (std::int64_t p = 0; p < pages; ++p) numbers.push_back(w.pages[p]->number);
    if (w.held.num_chosen > 0) chosen.insert(chosen.end(), w.held.chosen, w.held.chosen + w.held.num_chosen);
    most = std::max(most, w.held.count);
  }
  if (most == 0) return;
  Packing packing;
  const std::size_t heads_at = packing.add(heads.size() * sizeof(HeadWrite));
  const std::size_t pages_at = packing.add(numbers.size() * sizeof(std::int32_t));
  const std::size_t chosen_at = packing.add(chosen.size() * sizeof(std::int32_t));
  std::vector<std::byte> host(packing.bytes);
  std::memcpy(host.data() + heads_at, heads.data(), heads.size() * sizeof(HeadWrite));
  std::memcpy(host.data() + pages_at, numbers.data(), numbers.size() * sizeof(std::int32_t));
  if (!chosen.empty()) std::memcpy(host.data() + chosen_at, chosen.data(), chosen.size() * sizeof(std::int32_t));
  MemoryBlock block(device_->memory());
  auto* const there = static_cast<std::byte*>(block.reserve(packing.bytes));
  device_->upload(there, host.data(), packing.bytes);
  check(write_tokens({.k = k_rows.data,
                      .v = v_rows.data,
                      .k_token_stride = k_rows.token_stride,
                      .k_head_stride = k_rows.head_stride,
                      .v_token_stride = v_rows.token_stride,
                      .v_head_stride = v_rows.head_stride,
                      .pool = base(),
                      .heads = reinterpret_cast<const HeadWrite*>(there + heads_at),
                      .pages = reinterpret_cast<const std::int32_t*>(there + pages_at),
                      .chosen = reinterpret_cast<const std::int32_t*>(there + chosen_at),
                      .num_kv_heads = static_cast<std::int32_t>(writes.size()),
                      .most_tokens = static_cast<std::int32_t>(most),
                      .head_dim = head_dim},
                     device_->stream()),
        "storing keys and values");
}

void DevicePages::move(std::span<const KvMove> moves) {
  if (moves.empty()) return;
  std::vector<std::int64_t> slots(2 * moves.size());
  for (std::size_t i = 0; i < moves.size(); ++i) {
    slots[i] = std::int64_t{moves[i].from->number} * kPageTokens + moves[i].from_slot;
    slots[moves.size() + i] = std::int64_t{moves[i].to->number} * kPageTokens + moves[i].to_slot;
  }
  Device& device = *device_;
  const DeviceGuard guard(device.ordinal());
  Packing packing;
  const std::size_t slots_at = packing.add(slots.size() * sizeof(std::int64_t));
  const std::size_t rows_at = packing.add(moves.size() * 2 * row_bytes);
  MemoryBlock block(device.memory());
  auto* const there = static_cast<std::byte*>(block.reserve(packing.bytes));
  device.upload(there + slots_at, slots.data(), slots.size() * sizeof(std::int64_t));
  const auto* const from = reinterpret_cast<const std::int64_t*>(there + slots_at);
  check(move_tokens({.pool = base(),
                     .from = from,
                     .to = from + moves.size(),
                     .count = static_cast<std::int32_t>(moves.size()),
                     .head_dim = head_dim,
                     .rows = there + rows_at},
                    device.stream()),
        "moving keys and values");
}

void DevicePages::read_rows(const KvPage* page, std::int64_t count, std::byte* k_rows, std::byte* v_rows) const {
  if (count == 0) return;
  std::vector<std::byte> host(page_bytes);
  device_->memory().copy(host.data(), address(page), page_bytes);
  for (std::int64_t r = 0; r < count; ++r) {
    const std::size_t row = static_cast<std::size_t>(r) * row_bytes;
    for (std::size_t c = 0; c < row_bytes / 16; ++c) {
      const std::byte* const from = host.data() + row + swizzled(r, c, head_dim);
      std::memcpy(k_rows + row + c * 16, from, 16);
      std::memcpy(v_rows + row + c * 16, from + page_bytes / 2, 16);
    }
  }
}

void DevicePages::write_rows(KvPage* page, std::int64_t count, const std::byte* k_rows, const std::byte* v_rows) {
  if (count == 0) return;
  const std::size_t bytes = static_cast<std::size_t>(count) * row_bytes;
  std::vector<std::byte> host(bytes);
  for (const auto& [rows, to] : {std::pair{k_rows, address(page)}, std::pair{v_rows, address(page) + page_bytes / 2}}) {
    for (std::int64_t r = 0; r < count; ++r) {
      const std::size_t row = static_cast<std::size_t>(r) * row_bytes;
      for (std::size_t c = 0; c < row_bytes / 16; ++c) {
        std::memcpy(host.data() + row + swizzled(r, c, head_dim), rows + row + c * 16, 16);
      }
    }
    device_->upload(to, host.data(), bytes);
  }
}

}  // namespace tca::cuda
