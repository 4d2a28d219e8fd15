PRAGMA application_id = 0;
PRAGMA user_version = 0;
BEGIN TRANSACTION;
CREATE TABLE profile (
    candidate_id TEXT PRIMARY KEY, status TEXT NOT NULL, dataset TEXT, accuracy REAL, accuracy_low REAL, accuracy_high REAL,
    inference_time_s REAL, inference_time_s_low REAL, inference_time_s_high REAL, parameters INTEGER,
    energy_per_inference_j REAL, energy_per_inference_j_low REAL, energy_per_inference_j_high REAL, energy_source TEXT,
    batch_size INTEGER, device TEXT, precision TEXT, mode TEXT, channels_last INTEGER, compiled INTEGER, model TEXT,
    configuration TEXT, throughput_per_s REAL, latency_p50_s REAL, latency_p90_s REAL, latency_p95_s REAL, latency_p99_s REAL,
    energy_counter_j REAL, energy_power_j REAL, energy_naive_j REAL, mean_power_w REAL, peak_power_w REAL, idle_cold_w REAL,
    idle_warm_w REAL, flops INTEGER, parameter_bytes INTEGER, peak_memory_bytes INTEGER, compile_time_s REAL,
    compile_energy_j REAL, break_even_images REAL, trace TEXT, remarks TEXT, created_at TEXT
);
INSERT INTO "profile" VALUES('ok','ok',NULL,NULL,NULL,NULL,NULL,NULL,NULL,16,2.2557139434603329809e-05,2.17787532368971450545e-05,2.33355256323095145635e-05,'constant:65',100,'AMD EPYC, 2 threads','fp32','paper',0,0,'ok.pt','{"batch_size": 100, "channels_last": false, "compile": false, "dataset": null, "device": "auto", "factory": "torch.nn:Linear", "factory_args": {"bias": false, "in_features": 4, "out_features": 4}, "inputs": ["4"], "limit": null, "meter": "constant:65", "mode": "paper", "model": "sha256:82fe6466c8f3c57aedc187704047b44e519dadc596961c89cf2e5abf360e749d", "normalise": "dataset", "precision": "fp32", "split": "test", "values": []}',2.88157105152656603606e+06,8.54300014907494187355e-06,1.48730000546493101865e-05,1.64460002451960463076e-05,1.98341296891157766874e-05,NULL,2.2557139434603329809e-05,1.90136323600890757004e-05,65.0000000000013,65.0,NULL,NULL,32,64,729358336,NULL,NULL,NULL,'old.parquet','inputs are random: energy can differ from that of real ones; the power is assumed, not measured; energy by counter: the meter has none','2026-11-25T21:46:35+00:00');
CREATE VIEW archive AS SELECT * FROM profile;
COMMIT;
