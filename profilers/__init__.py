"""Measure a saved model on a device: accuracy, time, size, and energy per inference with its error.

The rooms, in the order of the flow:

- meters: read watts or joules now (NVML, RAPL, a recording, a declared constant), and find the meter of a device
- energy: sample a meter, and turn readings and windows into joules per image with an interval
- datasets: load labelled images
- models: open a saved model as a module that can be called
- results: the profile of a model, as a record, an archive row and text
- inference: run a module over its batches, score its outputs, look at it closely
- measuring: reserve a device, prepare, warm up, measure, sweep
- cli: the commands `profile` and `devices`
"""
