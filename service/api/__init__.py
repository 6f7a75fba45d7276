"""The routes, a module a resource. Handlers read options and bodies and shape answers; the work is the pipeline's."""

from fastapi import APIRouter

from service.api import batch, generate, health, inference_protocol, jobs, models, translate, verify

router = APIRouter()
for resource in (translate, batch, jobs, verify, generate, models, health, inference_protocol):
    router.include_router(resource.router)
