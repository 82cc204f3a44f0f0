//! Which device the two-tower network learns on. All else of a training is the processor's.

use candle_core::Device;
use candle_core::utils::cuda_is_available;

use crate::TrainError;
use crate::deep::Place;

/// What was asked for: `spec.training.device`, or `Auto` for a GPU where one can be used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    #[default]
    Cpu,
    Gpu,
    Auto,
}

impl DeviceChoice {
    pub const ALL: [Self; 3] = [Self::Cpu, Self::Gpu, Self::Auto];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Cpu => "Cpu",
            Self::Gpu => "Gpu",
            Self::Auto => "Auto",
        }
    }

    pub fn parse(text: &str) -> Result<Self, TrainError> {
        Self::ALL.into_iter().find(|known| text.eq_ignore_ascii_case(known.as_str())).ok_or_else(|| {
            TrainError::Option {
                what: "--device".to_owned(),
                value: text.to_owned(),
                remedy: "write Cpu, Gpu or Auto".to_owned(),
            }
        })
    }

    /// The place itself; fails where a GPU was asked for and none can be used.
    pub fn open(self) -> Result<Place, TrainError> {
        match self {
            Self::Cpu => Ok(Place::processor()),
            Self::Gpu => gpu(),
            Self::Auto => Ok(gpu().unwrap_or_else(|error| {
                tracing::info!(%error, "learning on the processor");
                Place::processor()
            })),
        }
    }
}

/// The first GPU that the process sees: a pod sees those that its limits ask for.
fn gpu() -> Result<Place, TrainError> {
    // Whether it is built in, not whether there is one.
    if !cuda_is_available() {
        return Err(TrainError::NoCuda);
    }
    Device::new_cuda(0).map(Place::stock).map_err(|source| TrainError::NoGpu(Box::new(source)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_device_is_named_as_in_the_model() {
        for (text, wanted) in [("Cpu", DeviceChoice::Cpu), ("Gpu", DeviceChoice::Gpu), ("auto", DeviceChoice::Auto)] {
            assert_eq!(DeviceChoice::parse(text).unwrap(), wanted);
        }
        let error = DeviceChoice::parse("TPU").unwrap_err();
        assert_eq!((error.to_string().as_str(), error.exit_code()), ("--device is \"TPU\"; write Cpu, Gpu or Auto", 2));
    }

    #[test]
    fn the_processor_is_always_there() {
        assert_eq!(DeviceChoice::default().open().unwrap().name(), "Cpu");
    }

    /// Whatever this machine has: `Gpu` is a GPU or an error that names the field and what to do, `Auto` is never an error.
    #[test]
    fn a_gpu_that_cannot_be_used_is_refused_with_the_remedy() {
        let found = DeviceChoice::Gpu.open();
        let auto = DeviceChoice::Auto.open().unwrap();
        match found {
            Ok(place) => assert_eq!((place.name(), auto.name()), ("Gpu", "Gpu")),
            Err(error) => {
                let text = error.to_string();
                let (remedy, code) =
                    if cuda_is_available() { ("nvidia.com/gpu: 1", 1) } else { ("-gpu after its tag", 2) };
                assert!(text.starts_with("spec.training.device (--device) is Gpu, "), "{text}");
                assert!(text.contains(remedy) && text.contains("or write Cpu"), "{text}");
                assert_eq!((error.exit_code(), auto.name()), (code, "Cpu"));
            }
        }
    }
}
