# The last layers of every image that is built here: our networks and programs, and their self
# check, so that an image that cannot draw the models cannot be built. Apart from the framework's
# own layers, so that a change of backends/ is rebuilt in seconds from a context of kilobytes.
# /tmp is emptied, since it is everybody's home: OpenVINO's telemetry leaves a folder there that is
# root's, and then logs so much for any other user that benchmark_app's own lines are lost.
ARG FRAMEWORK_IMAGE
FROM ${FRAMEWORK_IMAGE}
# Names of the packages in backends/ that the image is for.
ARG BACKENDS
COPY backends /opt/benchdock/backends
RUN python3 -m compileall -q /opt/benchdock/backends \
 && for backend in ${BACKENDS}; do python3 -m backends.${backend} self-check || exit 1; done \
 && find /tmp -mindepth 1 -delete
