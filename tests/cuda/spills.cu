// A kernel that has too few registers: the build must refuse it.
__global__ void spills(float* y, const float* x) {
  float v[40];
  for (int i = 0; i < 40; ++i) v[i] = x[i * 32 + threadIdx.x];
  __syncthreads();
  for (int i = 0; i < 40; ++i) {
    for (int j = 0; j < 40; ++j) v[i] += v[j] * v[i];
  }
  for (int i = 0; i < 40; ++i) y[i * 32 + threadIdx.x] = v[i];
}
