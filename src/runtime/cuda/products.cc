#include "runtime/cuda/products.h"

#include <algorithm>

#include "core/check.h"
#include "cuda/device.h"
#include "runtime/cuda/kernels.h"

namespace tca::runtime::gpu {
namespace {

constexpr std::size_t kWorkspaceBytes = std::size_t{64} << 20;
// Rows begin at multiples of 8 elements, so that is what pointers into matrices are aligned to.
constexpr std::uint32_t kAlignment = 16;

const CublasLt& blas() { return cublas_lt(); }

void check_blas(cublasStatus_t status, const char* what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail(ErrorCategory::kIo, text("cuBLASLt failed while ", what, " (status ", static_cast<int>(status), ")"));
}

template <class T>
void set(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute, const T& value) {
  check_blas(blas().set_preference(preference, attribute, &value, sizeof(value)), "choosing a kernel");
}

struct Preference {
  cublasLtMatmulPreference_t handle = nullptr;
  Preference() { check_blas(blas().create_preference(&handle), "choosing a kernel"); }
  ~Preference() { (void)blas().destroy_preference(handle); }
  Preference(const Preference&) = delete;
  Preference& operator=(const Preference&) = delete;
};

}  // namespace

Workspace::Workspace(cuda::Device& device) : device_(device.shared_from_this()), memory_(device.memory()) {
  memory_.reserve(kWorkspaceBytes);
}

Products::Products(const cuda::Device& device, std::int64_t skinny_rows)
    : skinny_rows_(std::min(skinny_rows, kMaxSkinnyRows)) {
  const cuda::DeviceGuard guard(device.ordinal());  // the handle is the current GPU's
  check_blas(blas().create(&handle_), "starting");
}

std::shared_ptr<Workspace> Products::workspace(cuda::Device& device) {
  const std::lock_guard lock(mutex_);
  std::erase_if(workspaces_, [](const auto& entry) { return entry.second.expired(); });
  std::weak_ptr<Workspace>& known = workspaces_[device.stream()];
  std::shared_ptr<Workspace> workspace = known.lock();
  if (workspace == nullptr) known = workspace = std::make_shared<Workspace>(device);
  return workspace;
}

Products::~Products() {
  for (auto& [shape, plan] : plans_) destroy(plan);
  (void)blas().destroy(handle_);
}

void Products::destroy(Plan& plan) noexcept {
  for (cublasLtMatrixLayout_t layout : {plan.weight, plan.x, plan.out}) {
    if (layout != nullptr) (void)blas().destroy_layout(layout);
  }
  if (plan.operation != nullptr) (void)blas().destroy_operation(plan.operation);
}

void Products::run(const Product& product, Workspace& workspace, cudaStream_t stream) {
  if (product.rows == 0) return;
  if (product.rows <= skinny_rows_) {
    const SkinnyProduct skinny = {.weight = product.weight,
                                  .x = product.x,
                                  .x_stride = product.x_stride,
                                  .out = product.out,
                                  .out_stride = product.out_stride,
                                  .rows = product.rows,
                                  .in = product.in,
                                  .columns = product.columns,
                                  .out_fp32 = product.output != Output::kBf16,
                                  .add = product.output == Output::kAddF32};
    return cuda::check(skinny_product(skinny, stream), "multiplying rows");
  }
  const Plan& p = plan(product);
  const float one = 1.0f, beta = product.output == Output::kAddF32 ? 1.0f : 0.0f;
  const auto lock = workspace.lock();
  check_blas(blas().matmul(handle_, p.operation, &one, product.weight, p.weight, product.x, p.x, &beta, product.out,
                           p.out, product.out, p.out, &p.algorithm, workspace.data(), kWorkspaceBytes, stream),
             "multiplying matrices");
}

const Products::Plan& Products::plan(const Product& product) {
  const Shape shape = {product.rows,     product.in,         product.columns,
                       product.x_stride, product.out_stride, static_cast<std::int64_t>(product.output)};
  const std::lock_guard lock(mutex_);
  if (const auto found = plans_.find(shape); found != plans_.end()) return found->second;
  Plan plan;
  try {
    choose_algorithm(product, plan);
    return plans_.emplace(shape, plan).first->second;
  } catch (...) {
    destroy(plan);
    throw;
  }
}

/// cuBLASLt thinks in columns: out^T [columns, rows] = W [columns, in] x^T [in, rows], and a row-major matrix is its
/// column-major transpose.
void Products::choose_algorithm(const Product& product, Plan& plan) {
  constexpr const char* kWhat = "describing a product";
  const auto unsigned_of = [](std::int64_t value) { return static_cast<std::uint64_t>(value); };
  const cudaDataType_t out_type = product.output == Output::kBf16 ? CUDA_R_16BF : CUDA_R_32F;
  const cublasOperation_t transpose = CUBLAS_OP_T;
  check_blas(blas().create_operation(&plan.operation, CUBLAS_COMPUTE_32F, CUDA_R_32F), kWhat);
  check_blas(blas().set_operation(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof(transpose)), kWhat);
  check_blas(blas().create_layout(&plan.weight, CUDA_R_16BF, unsigned_of(product.in), unsigned_of(product.columns),
                                  product.in),
             kWhat);
  check_blas(
      blas().create_layout(&plan.x, CUDA_R_16BF, unsigned_of(product.in), unsigned_of(product.rows), product.x_stride),
      kWhat);
  check_blas(blas().create_layout(&plan.out, out_type, unsigned_of(product.columns), unsigned_of(product.rows),
                                  product.out_stride),
             kWhat);

  const Preference preference;
  set(preference.handle, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspaceBytes);
  // Split sums meet in the workspace and are added in order; in place they would meet in the order of arrival.
  set(preference.handle, CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK,
      std::uint32_t{CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE});
  for (const auto attribute :
       {CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES,
        CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES}) {
    set(preference.handle, attribute, kAlignment);
  }
  cublasLtMatmulHeuristicResult_t best = {};
  int found = 0;
  const cublasStatus_t status = blas().get_heuristic(handle_, plan.operation, plan.weight, plan.x, plan.out, plan.out,
                                                     preference.handle, 1, &best, &found);
  check_supported(status == CUBLAS_STATUS_SUCCESS && found > 0, "cuBLASLt has no kernel for a product of [",
                  product.rows, ", ", product.in, "] and [", product.columns, ", ", product.in, "]^T (status ",
                  static_cast<int>(status), ")");
  plan.algorithm = best.algo;
}

}  // namespace tca::runtime::gpu
