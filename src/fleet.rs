//! The fleet data set: made from a seed, for measurement.
