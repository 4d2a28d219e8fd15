/* Turn a text file of boards and failures into a stand-in for libnvidia-ml.so.1.

   The file named by NVML_STANDIN is read again whenever it changes. One statement a line; those after `board` are of that board:

     driver 570.124.06
     clock real | step SECONDS | at SECONDS   time 0 is `origin`; step: each reading of power or energy advances the clock
     origin SECONDS                           CLOCK_MONOTONIC of time 0 (default: first use of the library)
     fail FUNCTION CODE                       also field:ID:SCOPE; the call returns the NVML error CODE
     raw FUNCTION VALUE                       also field:ID:SCOPE; the raw number, or nan
     board UUID
     name TEXT / bus 00000000:01:00.0 / cc MAJOR MINOR
     migmode 0|1 / mig UUID                   `mig` once an instance
     power WATTS / step SECONDS WATTS         constant between steps; before the first step, WATTS of `power`
     trace FILE                               lines "SECONDS WATTS", in place of `step` lines
     repeat SECONDS                           the steps start again every so many seconds
     period / window / average / tick SECONDS update period and averaging window of the instant power, window of the average
                                              power, tick of the counter
     counter JOULES                           energy counter at time 0
     frozen 1 / backward SECONDS JOULES       the counter stands still / falls by so much at that time
     module 1                                 fields answer at module scope only
     temperature C / sm MHZ / reasons BITS / process PID|self
*/
#define _GNU_SOURCE
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { SUCCESS = 0, UNINITIALIZED = 1, INVALID_ARGUMENT = 2, NOT_SUPPORTED = 3, NOT_FOUND = 6, INSUFFICIENT_SIZE = 7, DRIVER_NOT_LOADED = 9 };
enum { BOARDS = 16, INSTANCES = 8, STEPS = 4096, RULES = 256, PIDS = 16 };

typedef struct { double at_s, power_w; } step_t;
typedef struct {
    char uuid[96], name[96], bus[32], mig[INSTANCES][96];
    int major, minor, migmode, instances, steps, module, frozen, temperature, sm, pids;
    unsigned pid[PIDS];
    unsigned long long reasons;
    double power_w, repeat_s, period_s, window_s, average_s, tick_s, counter_j, backward_s, backward_j;
    step_t step[STEPS];
} board_t;
typedef struct { char what[64]; int code; } failure_t;
typedef struct { char what[64]; double value; } raw_t;

static board_t board[BOARDS];
static failure_t failure[RULES];
static raw_t raw[RULES];
static int boards, failures, raws;
static char driver[80], clock_kind[8];
static double clock_s, origin_s, step_clock_s;
static pid_t initialised_by;
static struct timespec seen_mtime;
static off_t seen_size;
static ino_t seen_inode;
static pthread_mutex_t guard = PTHREAD_MUTEX_INITIALIZER;

static double monotonic_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec + now.tv_nsec / 1e9;
}

static void add_step(board_t *b, double at_s, double power_w) {
    if (b->steps < STEPS) b->step[b->steps++] = (step_t){at_s, power_w};
}

static void read_trace(board_t *b, const char *path) {
    FILE *file = fopen(path, "r");
    double at_s, power_w;
    if (!file) return;
    while (fscanf(file, "%lf %lf", &at_s, &power_w) == 2) add_step(b, at_s, power_w);
    fclose(file);
}

static void board_line(board_t *b, const char *key, char *rest) {
    double x = atof(rest), y = 0;
    char *second = strchr(rest, ' ');
    if (second) y = atof(second);
    if (!strcmp(key, "name")) snprintf(b->name, sizeof b->name, "%s", rest);
    else if (!strcmp(key, "bus")) snprintf(b->bus, sizeof b->bus, "%s", rest);
    else if (!strcmp(key, "cc")) b->major = (int)x, b->minor = (int)y;
    else if (!strcmp(key, "migmode")) b->migmode = (int)x;
    else if (!strcmp(key, "mig") && b->instances < INSTANCES) snprintf(b->mig[b->instances++], 96, "%s", rest);
    else if (!strcmp(key, "power")) b->power_w = x;
    else if (!strcmp(key, "step")) add_step(b, x, y);
    else if (!strcmp(key, "trace")) read_trace(b, rest);
    else if (!strcmp(key, "repeat")) b->repeat_s = x;
    else if (!strcmp(key, "period")) b->period_s = x;
    else if (!strcmp(key, "window")) b->window_s = x;
    else if (!strcmp(key, "average")) b->average_s = x;
    else if (!strcmp(key, "tick")) b->tick_s = x;
    else if (!strcmp(key, "counter")) b->counter_j = x;
    else if (!strcmp(key, "frozen")) b->frozen = (int)x;
    else if (!strcmp(key, "backward")) b->backward_s = x, b->backward_j = y;
    else if (!strcmp(key, "module")) b->module = (int)x;
    else if (!strcmp(key, "temperature")) b->temperature = (int)x;
    else if (!strcmp(key, "sm")) b->sm = (int)x;
    else if (!strcmp(key, "reasons")) b->reasons = strtoull(rest, NULL, 0);
    else if (!strcmp(key, "process") && b->pids < PIDS) b->pid[b->pids++] = strcmp(rest, "self") ? (unsigned)x : (unsigned)getpid();
    else fprintf(stderr, "nvml stand-in: what is %s %s?\n", key, rest), abort();
}

static void line(char *text) {
    char key[32] = "", *rest = text;
    text[strcspn(text, "\r\n")] = 0;
    if (sscanf(text, "%31s", key) != 1 || key[0] == '#') return;
    rest = strstr(text, key) + strlen(key);
    while (*rest == ' ') rest++;
    if (!strcmp(key, "driver")) snprintf(driver, sizeof driver, "%s", rest);
    else if (!strcmp(key, "origin")) origin_s = atof(rest);
    else if (!strcmp(key, "clock")) sscanf(rest, "%7s %lf", clock_kind, &clock_s);
    else if (!strcmp(key, "fail") && failures < RULES) {
        failure_t *f = &failure[failures];
        failures += sscanf(rest, "%63s %d", f->what, &f->code) == 2;
    } else if (!strcmp(key, "raw") && raws < RULES) {
        raw_t *r = &raw[raws];
        raws += sscanf(rest, "%63s %lf", r->what, &r->value) == 2;
    } else if (!strcmp(key, "board") && boards < BOARDS) {
        board_t *b = &board[boards++];
        *b = (board_t){.name = "NVIDIA Stand-in", .bus = "00000000:01:00.0", .major = 9, .power_w = 75, .period_s = 0.1, .window_s = 0.025,
                       .average_s = 1, .tick_s = 0.1, .counter_j = 1e5, .backward_s = INFINITY, .temperature = 40, .sm = 1980};
        snprintf(b->uuid, sizeof b->uuid, "%s", rest);
    } else if (boards) board_line(&board[boards - 1], key, rest);
}

static void reload(void) {
    const char *path = getenv("NVML_STANDIN");
    struct stat is;
    char text[512];
    FILE *file;
    if (!path || stat(path, &is)) { boards = failures = raws = 0; return; }
    if (is.st_ino == seen_inode && is.st_size == seen_size && !memcmp(&is.st_mtim, &seen_mtime, sizeof seen_mtime)) return;
    seen_inode = is.st_ino, seen_size = is.st_size, seen_mtime = is.st_mtim;
    boards = failures = raws = 0;
    strcpy(driver, "570.124.06"), strcpy(clock_kind, "real"), clock_s = 0;
    if (!(file = fopen(path, "r"))) return;
    while (fgets(text, sizeof text, file)) line(text);
    fclose(file);
}

static int refusal(const char *what) {
    for (int i = 0; i < failures; i++) if (!strcmp(failure[i].what, what)) return failure[i].code;
    return SUCCESS;
}

static int raw_value(const char *what, double *value) {
    for (int i = 0; i < raws; i++) if (!strcmp(raw[i].what, what)) { *value = raw[i].value; return 1; }
    return 0;
}

/* Handles: boards from 0x100, instances of board b from 0x1000 + 0x100 b. As in the real library, none survives a fork. */
static int enter(const char *function) {
    int code;
    pthread_mutex_lock(&guard);
    reload();
    code = refusal(function);
    pthread_mutex_unlock(&guard);
    return code ? code : initialised_by == getpid() ? SUCCESS : UNINITIALIZED;
}
#define ENTER() do { int code_ = enter(__func__); if (code_) return code_; } while (0)

static board_t *of(void *handle) {
    uintptr_t h = (uintptr_t)handle;
    return h >= 0x100 && h < 0x100 + (uintptr_t)boards ? &board[h - 0x100] : NULL;
}
static const char *instance(void *handle) {
    uintptr_t h = (uintptr_t)handle, b = (h - 0x1000) >> 8, i = h & 0xff;
    return h >= 0x1000 && b < (uintptr_t)boards && i < (uintptr_t)board[b].instances ? board[b].mig[i] : NULL;
}
#define BOARD(b, handle) board_t *b = of(handle); if (!b) return instance(handle) ? NOT_SUPPORTED : INVALID_ARGUMENT

/* Energy from time 0 to t of a power that is constant between its steps. */
static double first_pass_j(const board_t *b, double t) {
    double energy_j = 0, from_s = 0, power_w = b->power_w;
    if (t < 0) return b->power_w * t;
    for (int i = 0; i < b->steps && b->step[i].at_s < t; i++) {
        if (b->step[i].at_s > 0) energy_j += power_w * (b->step[i].at_s - from_s), from_s = b->step[i].at_s;
        power_w = b->step[i].power_w;
    }
    return energy_j + power_w * (t - from_s);
}
static double energy_j(const board_t *b, double t) {
    if (b->repeat_s <= 0 || t < 0) return first_pass_j(b, t);
    double passes = floor(t / b->repeat_s);
    return passes * first_pass_j(b, b->repeat_s) + first_pass_j(b, t - passes * b->repeat_s);
}
static double updated_s(double t, double period_s) { return period_s > 0 ? floor(t / period_s + 1e-9) * period_s : t; }
static double mean_w(const board_t *b, double end_s, double window_s) {
    return (energy_j(b, end_s) - energy_j(b, end_s - window_s)) / window_s;
}
static double counter_j(const board_t *b, double t) {
    double at_s = b->frozen ? 0 : updated_s(t, b->tick_s);
    return b->counter_j + energy_j(b, at_s) - (at_s >= b->backward_s ? b->backward_j : 0);
}
static double now_s(void) {
    if (!strcmp(clock_kind, "at")) return clock_s;
    if (!strcmp(clock_kind, "step")) return step_clock_s += clock_s;
    if (!origin_s) origin_s = monotonic_s();
    return monotonic_s() - origin_s;
}

int nvmlInitWithFlags(unsigned flags) {
    (void)flags;
    pthread_mutex_lock(&guard);
    reload();
    int code = getenv("NVML_STANDIN") ? refusal("nvmlInitWithFlags") : DRIVER_NOT_LOADED;
    if (!code) initialised_by = getpid();
    pthread_mutex_unlock(&guard);
    return code;
}
int nvmlShutdown(void) { ENTER(); return SUCCESS; }
const char *nvmlErrorString(int code) {
    static __thread char text[32];
    snprintf(text, sizeof text, "stand-in error %d", code);
    return text;
}
static int text_out(const char *from, char *to, unsigned length) {
    if (strlen(from) >= length) return INSUFFICIENT_SIZE;
    strcpy(to, from);
    return SUCCESS;
}
int nvmlSystemGetDriverVersion(char *to, unsigned length) { ENTER(); return text_out(driver, to, length); }
int nvmlDeviceGetCount_v2(unsigned *count) { ENTER(); *count = boards; return SUCCESS; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **handle) {
    ENTER();
    if (index >= (unsigned)boards) return INVALID_ARGUMENT;
    *handle = (void *)(uintptr_t)(0x100 + index);
    return SUCCESS;
}
int nvmlDeviceGetHandleByUUID(const char *uuid, void **handle) {
    ENTER();
    for (int i = 0; i < boards; i++) if (!strcmp(uuid, board[i].uuid)) { *handle = (void *)(uintptr_t)(0x100 + i); return SUCCESS; }
    return NOT_FOUND;
}
int nvmlDeviceGetUUID(void *handle, char *to, unsigned length) {
    ENTER();
    const char *uuid = instance(handle);
    if (uuid) return text_out(uuid, to, length);
    BOARD(b, handle);
    return text_out(b->uuid, to, length);
}
int nvmlDeviceGetName(void *handle, char *to, unsigned length) { ENTER(); BOARD(b, handle); return text_out(b->name, to, length); }
typedef struct { char legacy[16]; unsigned domain, bus, device, id, subsystem; char bus_id[32]; } pci_t;
int nvmlDeviceGetPciInfo_v3(void *handle, pci_t *pci) { ENTER(); BOARD(b, handle); memset(pci, 0, sizeof *pci); return text_out(b->bus, pci->bus_id, 32); }
int nvmlDeviceGetCudaComputeCapability(void *handle, int *major, int *minor) {
    ENTER();
    BOARD(b, handle);
    *major = b->major, *minor = b->minor;
    return SUCCESS;
}
int nvmlDeviceGetMigMode(void *handle, unsigned *current, unsigned *pending) {
    ENTER();
    BOARD(b, handle);
    if (b->major < 8) return NOT_SUPPORTED;
    *current = *pending = b->migmode;
    return SUCCESS;
}
int nvmlDeviceGetMaxMigDeviceCount(void *handle, unsigned *count) { ENTER(); BOARD(b, handle); (void)b; *count = INSTANCES; return SUCCESS; }
int nvmlDeviceGetMigDeviceHandleByIndex(void *handle, unsigned index, void **mig) {
    ENTER();
    BOARD(b, handle);
    if (index >= (unsigned)b->instances) return NOT_FOUND;
    *mig = (void *)(uintptr_t)(0x1000 + ((b - board) << 8) + index);
    return SUCCESS;
}
static int milli(const char *what, double value, double *out) {
    if (!raw_value(what, out)) *out = floor(value * 1000 + 0.5);
    return SUCCESS;
}
int nvmlDeviceGetPowerUsage(void *handle, unsigned *power_mw) {
    ENTER();
    BOARD(b, handle);
    double out, t = updated_s(now_s(), b->period_s), window_s = b->major * 10 + b->minor <= 80 ? b->window_s : b->average_s;
    milli("nvmlDeviceGetPowerUsage", mean_w(b, t, window_s), &out);
    *power_mw = (unsigned)out;
    return SUCCESS;
}
int nvmlDeviceGetTotalEnergyConsumption(void *handle, unsigned long long *energy_mj) {
    ENTER();
    BOARD(b, handle);
    if (b->major < 7) return NOT_SUPPORTED;
    double out;
    milli("nvmlDeviceGetTotalEnergyConsumption", counter_j(b, now_s()), &out);
    *energy_mj = (unsigned long long)out;
    return SUCCESS;
}
int nvmlDeviceGetTemperature(void *handle, int sensor, unsigned *out) { ENTER(); BOARD(b, handle); (void)sensor; *out = b->temperature; return SUCCESS; }
int nvmlDeviceGetClockInfo(void *handle, int kind, unsigned *mhz) { ENTER(); BOARD(b, handle); (void)kind; *mhz = b->sm; return SUCCESS; }
int nvmlDeviceGetCurrentClocksThrottleReasons(void *handle, unsigned long long *bits) { ENTER(); BOARD(b, handle); *bits = b->reasons; return SUCCESS; }

typedef struct { unsigned pid; unsigned long long memory; unsigned gi, ci; } running_t;
static int running(void *handle, unsigned *count, running_t *out) {
    BOARD(b, handle);
    unsigned room = *count;
    *count = b->pids;
    if (b->pids && (!out || room < (unsigned)b->pids)) return INSUFFICIENT_SIZE;
    for (int i = 0; i < b->pids; i++) out[i] = (running_t){b->pid[i], 1 << 20, ~0U, ~0U};
    return SUCCESS;
}
int nvmlDeviceGetComputeRunningProcesses_v2(void *handle, unsigned *count, running_t *out) { ENTER(); return running(handle, count, out); }

#ifndef OLD_DRIVER /* what drivers of 2020 did not have */
typedef struct { unsigned id, scope; long long stamp_us, latency_us; unsigned type; int code; union { double d; unsigned u; unsigned long long ull; } value; } field_t;
static int field(board_t *b, double t, field_t *f) {
    char what[64];
    double value, at_s = updated_s(t, f->id == 186 || f->id == 185 ? b->period_s : b->tick_s);
    int code, of_board = f->id == 83 || (b->module ? f->scope == 1 : f->scope == 0);
    snprintf(what, sizeof what, "field:%u:%u", f->id, f->scope);
    if ((code = refusal(what))) return code;
    if (!of_board) return NOT_SUPPORTED;
    if (f->id == 186) milli(what, mean_w(b, at_s, b->window_s), &value);
    else if (f->id == 185) milli(what, mean_w(b, at_s, b->average_s), &value);
    else if (f->id == 191 || f->id == 83) milli(what, counter_j(b, t), &value);
    else return NOT_SUPPORTED;
    f->stamp_us = 1700000000000000LL + (long long)(at_s * 1e6), f->latency_us = 0;
    if (isnan(value)) f->type = 0, f->value.d = value;
    else if (f->id == 185 || f->id == 186) f->type = 1, f->value.ull = 0, f->value.u = (unsigned)value;
    else f->type = 3, f->value.ull = value >= 1.8e19 ? ~0ULL : (unsigned long long)value;
    return SUCCESS;
}
int nvmlDeviceGetFieldValues(void *handle, int count, field_t *values) {
    ENTER();
    BOARD(b, handle);
    double t = now_s();
    for (int i = 0; i < count; i++) values[i].code = field(b, t, &values[i]);
    return SUCCESS;
}
typedef struct { unsigned version; int sensor, temperature; } temperature_t;
int nvmlDeviceGetTemperatureV(void *handle, temperature_t *out) { ENTER(); BOARD(b, handle); out->temperature = b->temperature; return SUCCESS; }
int nvmlDeviceGetCurrentClocksEventReasons(void *handle, unsigned long long *bits) { ENTER(); BOARD(b, handle); *bits = b->reasons; return SUCCESS; }
int nvmlDeviceGetComputeRunningProcesses_v3(void *handle, unsigned *count, running_t *out) { ENTER(); return running(handle, count, out); }
#endif
