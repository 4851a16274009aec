// Planets around the sun: float arithmetic on records.
#include <inttypes.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>

#define BODIES 5

struct body {
  double x, y, z, vx, vy, vz, mass;
};

static const double pi = 3.141592653589793;
static const double days_per_year = 365.24;

// The sun, Jupiter, Saturn, Uranus and Neptune.
static struct body bodies[BODIES] = {
    {0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0},
    {4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01,
     1.66007664274403694e-03, 7.69901118419740425e-03, -6.90460016972063023e-05,
     9.54791938424326609e-04},
    {8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01,
     -2.76742510726411899e-03, 4.99852801234917238e-03, 2.30417297573763929e-05,
     2.85885980666130812e-04},
    {1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01,
     2.96460137564761618e-03, 2.37847173959480950e-03, -2.96589568540237556e-05,
     4.36624404335156298e-05},
    {1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01,
     2.68067772490389322e-03, 1.62824170038242295e-03, -9.51592254519715870e-05,
     5.15138902046611451e-05},
};

static void prepare(double solar_mass) {
  double px = 0.0, py = 0.0, pz = 0.0;
  for (int i = 0; i < BODIES; i++) {
    struct body *b = &bodies[i];
    b->vx *= days_per_year;
    b->vy *= days_per_year;
    b->vz *= days_per_year;
    b->mass *= solar_mass;
    px += b->vx * b->mass;
    py += b->vy * b->mass;
    pz += b->vz * b->mass;
  }
  bodies[0].vx = -px / solar_mass;
  bodies[0].vy = -py / solar_mass;
  bodies[0].vz = -pz / solar_mass;
}

static void attract(struct body *a, struct body *b, double dt) {
  double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
  double square = dx * dx + dy * dy + dz * dz;
  double magnitude = dt / (square * sqrt(square));
  double pull_a = b->mass * magnitude, pull_b = a->mass * magnitude;
  a->vx -= dx * pull_a;
  a->vy -= dy * pull_a;
  a->vz -= dz * pull_a;
  b->vx += dx * pull_b;
  b->vy += dy * pull_b;
  b->vz += dz * pull_b;
}

static void advance(double dt) {
  for (int i = 0; i < BODIES; i++)
    for (int k = i + 1; k < BODIES; k++) attract(&bodies[i], &bodies[k], dt);
  for (int i = 0; i < BODIES; i++) {
    struct body *b = &bodies[i];
    b->x += dt * b->vx;
    b->y += dt * b->vy;
    b->z += dt * b->vz;
  }
}

static double energy(void) {
  double sum = 0.0;
  for (int i = 0; i < BODIES; i++) {
    struct body *a = &bodies[i];
    sum += 0.5 * a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz);
    for (int k = i + 1; k < BODIES; k++) {
      struct body *b = &bodies[k];
      double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
      sum -= a->mass * b->mass / sqrt(dx * dx + dy * dy + dz * dz);
    }
  }
  return sum;
}

int main(void) {
  prepare(4.0 * pi * pi);
  for (int step = 0; step < 150000; step++) advance(0.01);
  printf("%" PRId64 "\n", (int64_t)floor(energy() * 1e12));
}
